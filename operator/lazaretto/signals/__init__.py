"""What is read from Alertmanager and Prometheus."""
