"""Tests of what is printed for the API server from the kinds."""
