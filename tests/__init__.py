"""Tests of Lazaretto; `tests.cluster` is the real control plane that they run against."""
