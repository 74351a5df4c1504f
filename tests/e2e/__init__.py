"""The main job end to end: real control plane, real Prometheus and Alertmanager, our processes with their accounts."""
