"""The papers' experiments as data; none is built in yet."""
