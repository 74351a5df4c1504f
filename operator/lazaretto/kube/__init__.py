"""The API server behind a few verbs: requests as data, retries, watches."""
