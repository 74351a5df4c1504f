"""What we read from Alertmanager and Prometheus."""
