"""The GitOps objects that are known. A new kind is one line here."""

from __future__ import annotations

from lazaretto.gitops.argocd import ApplicationSurface
from lazaretto.kube.surface import Surface

OWNERS: tuple[Surface, ...] = (ApplicationSurface(),)
