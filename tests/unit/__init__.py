"""Tests that need nothing but the interpreter."""
