"""What becomes of a containment and of its release when one request to the API server goes wrong, told in one table."""
