"""Plays alerts into the receiver while one of its writes goes wrong, and says what became of them.

Nothing is taken from the receiver but its answers: what is stored is read from the API server as soon as an answer
came, and how often something was stored is told by its audit log.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from tests.cluster.access import ClusterAccess
from tests.cluster.audit import AuditLog, AuditRecord
from tests.cluster.control_plane import ControlPlane
from tests.cluster.receiver import ReceiverProcess
from tests.cluster.receiver_stories import SYSTEM, TOKENS, receiver_as_itself
from tests.cluster.waiting import until
from tests.e2e.ledger import READS, Ledger
from tests.e2e.raw_api import RawApi
from tests.e2e.scene import RECEIVER
from tests.faults.faults import REACHED_SECONDS, Fault, HeldAfterwards
from tests.faults.oracle import Outcome
from tests.faults.plans import Write
from tests.faults.proxy import Proxy
from tests.faults.receiver_plans import CHAT, CREATION, RECEIVER_WRITES, STORED, ReceiverPlan, notification
from tests.faults.sender import deliver

TOO_EARLY_SECONDS = 0.5
"""For so long nothing that is held may be called stored; one that calls it so does it at once."""
MOST_CALLS = 4 * len(RECEIVER_WRITES)
"""Without a fault there is one request for each write."""


@dataclass(frozen=True, slots=True)
class Intake:
    """Where stories are played: a receiver behind a proxy, and one beside it that nothing stands before."""

    receiver: ReceiverProcess
    second: ReceiverProcess
    proxy: Proxy
    admin: RawApi
    audit: AuditLog

    def build(self, plans: Sequence[ReceiverPlan | None]) -> list[Group]:
        """A group for each plan, with another beside it; the receivers that are told of them know them all."""
        groups = [Group(self.admin) for _ in plans]
        for receiver in (self.receiver, self.second)[: 1 + any(plan and plan.told_twice for plan in plans)]:
            # One that has just read all models knows of these, and a watch need not be waited for.
            receiver.kill()
            receiver.start()
        return groups


@contextmanager
def opened(plane: ControlPlane, cluster: ClusterAccess, root: Path, *, folder: Path) -> Iterator[Intake]:
    """A receiver under its ServiceAccount, behind a proxy, and one beside it; neither runs yet.

    The first runs in `folder`: a program that is started by its module's name is looked for there first.
    """
    kubeconfig = cluster.service_account_kubeconfig(SYSTEM, "lazaretto-receiver")
    with (
        closing(RawApi(plane.kubeconfig)) as admin,
        Proxy(kubeconfig, root / "kubeconfig") as proxy,
        ExitStack() as stack,
    ):
        receiver = ReceiverProcess(folder, root / "kubeconfig", namespace=SYSTEM, tokens=TOKENS)
        second = receiver_as_itself(cluster, root / "second")
        stack.callback(receiver.stop)
        stack.callback(second.stop)
        yield Intake(receiver, second, proxy, admin, plane.audit)


class Group:
    """A namespace with a model that alerts are about, and another model in a namespace beside it."""

    def __init__(self, admin: RawApi) -> None:
        """Makes both."""
        self.admin = admin
        self.namespace = f"intake-{uuid.uuid4().hex[:10]}"
        self.beside = f"{self.namespace}-beside"
        self.began = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=1)
        workloads = [{"kind": "Deployment", "name": CHAT}]
        for namespace in (self.namespace, self.beside):
            admin.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
            model = {"apiVersion": "lazaretto.dev/v1alpha1", "kind": "ProtectedModel", "metadata": {"name": CHAT}}
            admin.create({**model, "spec": {"workloads": workloads}}, namespace=namespace)

    def notification(self, news: Write) -> Any:
        """What is sent about the group."""
        return notification(news, namespace=self.namespace, model=CHAT, began=self.began)

    def about_the_other(self) -> Any:
        """What is sent about the one beside."""
        return notification(CREATION, namespace=self.beside, model=CHAT, began=self.began)

    def missing(self, news: Write, *, namespace: str = "") -> str:
        """What is not stored as a notification that was answered says; empty if all is."""
        incidents = self.admin.get("aiincidents", namespace=namespace or self.namespace)
        found = [{e["name"]: (e.get("firings", 1), "resolvedAt" in e) for e in i["spec"]["alerts"]} for i in incidents]
        return "" if found == [STORED[news]] else f"after {news.what}, {found} instead of {[STORED[news]]}"

    def remove(self) -> None:
        """Asks for all of it to be deleted."""
        for namespace in (self.namespace, self.beside):
            self.admin.delete("namespaces", name=namespace)


def attempt(plan: ReceiverPlan | None, group: Group, intake: Intake) -> Outcome:
    """The whole story, without a fault if there is no plan; one that does not come to its end breaks L."""
    try:
        return _play(plan, group, intake)
    except (AssertionError, OSError, TimeoutError) as error:
        return Outcome({"L": f"it did not come to its end: {error}"})
    finally:
        group.remove()


def _play(plan: ReceiverPlan | None, group: Group, intake: Intake) -> Outcome:
    ledger, outcome = Ledger(intake.audit, group.namespace), Outcome()
    for news in RECEIVER_WRITES:
        if plan is not None and plan.where == news:
            outcome.after = _meet(plan, group, intake, broken=outcome.broken)
        else:
            deliver(intake.receiver, group.notification(news))
        if missing := group.missing(news):
            outcome.broken.setdefault("L", missing)
    if "L" not in outcome.broken:
        outcome.broken |= dict(_counted(ledger, group))
    return outcome


def _meet(plan: ReceiverPlan, group: Group, intake: Intake, *, broken: dict[str, str]) -> float:
    """Seconds from the end of the fault to the answer by 2xx."""
    payload = group.notification(plan.where)
    with ThreadPoolExecutor(2) as pool, intake.proxy.befallen(plan.make(group.namespace)) as fault:
        # Where the write was answered, the receiver may have answered as well before it is killed: that is lost.
        told = [pool.submit(deliver, intake.receiver, payload, unheard=int(isinstance(fault, HeldAfterwards)))]
        assert fault.reached.wait(REACHED_SECONDS), f"{plan} never came"
        if plan.told_twice:
            told.append(pool.submit(deliver, intake.second, payload))
        if plan.kills:
            _kill(fault, told, intake, broken=broken)
        else:
            deliver(intake.receiver, group.about_the_other())
            if missing := group.missing(CREATION, namespace=group.beside):
                broken["I"] = missing
        for each in told:
            each.result()
    return max(0.0, time.monotonic() - (fault.over_at or time.monotonic()))


def _kill(fault: Fault, told: list[Future[None]], intake: Intake, *, broken: dict[str, str]) -> None:
    """Kills the receiver at its write, once another that was told the same is done, and starts it again."""
    for other in told[1:]:
        other.result()
    if not isinstance(fault, HeldAfterwards):
        time.sleep(TOO_EARLY_SECONDS)
        if told[0].done():
            broken["L"] = "called stored while its write stood still"
    intake.receiver.kill()
    fault.end()
    # As a kubelet does; what is sent to it before it is ready is refused.
    intake.receiver.start(ready=False)


def _counted(ledger: Ledger, group: Group) -> Iterator[tuple[str, str]]:
    """What was stored twice, and what was asked too often."""

    def stored() -> list[AuditRecord]:
        return [r for r in ledger.calls(RECEIVER) if r.verb not in READS and r.code < 300]

    (incident, *more) = group.admin.get("aiincidents", namespace=group.namespace)
    generation = incident["metadata"]["generation"]
    # The log has a request an instant after its answer.
    until(
        lambda: any(r.response_object["metadata"]["generation"] == generation for r in stored()),
        what="the audit log has what was stored last",
    )
    verbs, wanted = [r.verb for r in stored()], ["create", *["patch"] * (len(RECEIVER_WRITES) - 1)]
    if verbs != wanted or more or generation != len(wanted):
        yield "X", f"stored by {verbs}, at generation {generation}; beside it: {len(more)}"
    excess, calls = ledger.excess(RECEIVER), ledger.counted(RECEIVER).total()
    if excess or calls > MOST_CALLS:
        yield "B", f"{calls} requests; not needed: {sorted(excess)}"
