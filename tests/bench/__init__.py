"""Measures the way from an alert to a containment, beside a bare client in the same run."""
