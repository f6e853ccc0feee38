"""Parts of pages that run in the browser: Python on one side, plain JavaScript on the other."""
