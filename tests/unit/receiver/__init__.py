"""The receiver over HTTP, with an API server of our own behind it."""
