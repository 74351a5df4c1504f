"""Who acts: an administrator, and two people who may decide about incidents of the demo's namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from tests.demo.person import Person
from tests.demo.screen import Screen
from tests.demo.stage import NAMESPACE, Stage


@dataclass(frozen=True, slots=True, kw_only=True)
class Cast:
    """Each of them holds a client certificate of their own."""

    admin: Person
    alice: Person
    bob: Person

    @classmethod
    def hire(cls, stage: Stage, *, screen: Screen) -> Self:
        """Gives each a kubeconfig; the control plane must run. What alice and bob may do, manifests/demo says."""

        def person(name: str, groups: tuple[str, ...] = ()) -> Person:
            kubeconfig = stage.plane.user_kubeconfig(name, groups=groups)
            kept = kubeconfig.rename(stage.root / f"{name}.kubeconfig")
            return Person(name, kubeconfig=kept, namespace=NAMESPACE, screen=screen)

        return cls(admin=person("admin", ("system:masters",)), alice=person("alice"), bob=person("bob"))
