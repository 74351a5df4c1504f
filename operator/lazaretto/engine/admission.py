"""Keeps copies of the admission policies that containment rests on, and says whether they are as shipped.

Dry runs prove what the operator itself could undo. What it may not do even as a dry run, such as starting a pod or
changing a template, is held by policies that only reading can check.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from lazaretto.api import reasons
from lazaretto.domain.admission import NAMESPACE, PREFIX, Spec, shortcomings
from lazaretto.domain.evidence import Finding
from lazaretto.kube.api_server import ApiServer, Object
from lazaretto.kube.mirror import Mirror
from lazaretto.kube.resource import ADMISSION_BINDINGS, ADMISSION_POLICIES

log = logging.getLogger(__name__)

_OURS = "ours"


class Admission:
    """See the module's text. `changed` is called when the answer may have become another one."""

    def __init__(self, api: ApiServer, *, changed: Callable[[], None]) -> None:
        self._changed = changed
        self._namespace = NAMESPACE
        self._policies = Mirror(api, resource=ADMISSION_POLICIES, read=_named, keys=_ours, changed=self._compare)
        self._bindings = Mirror(api, resource=ADMISSION_BINDINGS, read=_named, keys=_ours, changed=self._compare)
        self._finding = self._found()

    def finding(self) -> Finding:
        """Whether all of them are there, unaltered and bound; Unknown as long as they could not be read."""
        return self._finding

    async def work(self, namespace: str) -> None:
        """Keep the copies until cancelled; `namespace` is that of our accounts."""
        self._namespace = namespace
        await asyncio.gather(self._policies.run(), self._bindings.run())

    def _found(self) -> Finding:
        if not (self._policies.synced.is_set() and self._bindings.synced.is_set()):
            return Finding("Unknown", reasons.NOT_PROVED, "admission policies could not be read yet")
        bindings = [spec for _, spec in self._bindings.find(_OURS)]
        wrong = shortcomings(dict(self._policies.find(_OURS)), bindings, namespace=self._namespace)
        if wrong:
            return Finding("False", reasons.NOT_FENCED, "; ".join(wrong))
        return Finding("True", reasons.PROVED, "admission policies are as shipped")

    def _compare(self) -> None:
        # Every pass asks, and policies change hardly ever: what is found is kept.
        now = self._found()
        if now != self._finding:
            log.log(logging.INFO if now.status == "True" else logging.WARNING, "the fence: %s", now.message)
            self._finding = now
            self._changed()


def _named(obj: Object) -> tuple[str, Spec]:
    return str(obj["metadata"]["name"]), obj.get("spec") or {}


def _ours(named: tuple[str, Spec]) -> tuple[str, ...]:
    name, spec = named
    return (_OURS,) if name.startswith(PREFIX) or str(spec.get("policyName", "")).startswith(PREFIX) else ()
