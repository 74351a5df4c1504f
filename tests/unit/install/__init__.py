"""Tests of everything that installs Lazaretto: manifests, charts, image, alerting rules."""
