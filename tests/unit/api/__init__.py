"""Tests of the kinds as Python objects."""
