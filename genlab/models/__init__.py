"""One file, one idea; the registry finds every file in here."""
