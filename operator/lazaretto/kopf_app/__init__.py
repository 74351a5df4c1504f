"""The operator process. The only place that imports Kopf."""
