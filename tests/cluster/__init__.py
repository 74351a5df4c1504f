"""A real Kubernetes control plane for tests and for the demo, without containers and without root.

`ControlPlane` (`control_plane.py`) starts etcd, kube-apiserver, kube-controller-manager, kube-scheduler and
KWOK from binaries that `binaries.py` finds or builds; everything they write lies beneath one scratch folder.
Run `python -m tests.cluster up` for a control plane that outlives the shell.
"""
