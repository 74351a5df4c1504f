"""`make demo`: a model leaks, an alert takes it out of service, two people put it back.

Everything on the stage is real but the model and the gateway before it: the API server, its controllers,
Prometheus, Alertmanager, the receiver, the operator, with the manifests, rules and settings that we ship.
`python -m tests.demo` runs it, `python -m tests.demo down` ends what `KEEP=1` left running.
"""
