"""What stands against the containment of each model: moves that were undone, and writes that were refused.

It lives in memory alone: a new process counts anew, and says nothing about a fight that it has not
watched for a quiet time. It bounds what a fight may cost. A model that is being fought over gets
`BURST` passes at once and then one every `EVERY` seconds, and as many undos without a pass, which
is how late one can be; the first, and any after `CALM` seconds without one, is never late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from itertools import groupby

from lazaretto.domain import chronicle
from lazaretto.domain.contest import ENOUGH, QUIET, Fight, Move, contested
from lazaretto.domain.evidence import Problem
from lazaretto.domain.fields import Change
from lazaretto.domain.pace import Allowance, Refusal
from lazaretto.domain.timeline import Fact
from lazaretto.engine.apply import Outcome
from lazaretto.engine.plan import ObjectPlan
from lazaretto.engine.store import Key
from lazaretto.kube.annotation import is_aside
from lazaretto.telemetry.metrics import Metrics

BURST = 10
EVERY = 0.2
CALM = 10.0
SERIES = 2
"""Passes in a row that met with opposition, until the next ones are paced."""

Writes = list[tuple[ObjectPlan, Sequence[Change]]]
_WHOLE = Allowance(BURST, EVERY)


@dataclass(slots=True)
class _Model:
    since: float
    """When it was first looked at."""
    fights: dict[str, Fight] = field(default_factory=dict)
    refusals: dict[str, Refusal] = field(default_factory=dict)
    """By uid of the object."""
    kept_away: set[str] = field(default_factory=set)
    allowance: Allowance = _WHOLE
    undos: Allowance = _WHOLE
    series: int = 0
    opposed_at: float = 0.0

    def paced(self, now: float) -> bool:
        return self.series >= SERIES and now - self.opposed_at < CALM

    def opposed(self, now: float) -> None:
        self.series = self.series + 1 if now - self.opposed_at < CALM else 1
        self.opposed_at = now


class Opposition:
    """See the module's text. Requires a running event loop, whose clock it reads."""

    def __init__(self, metrics: Metrics | None = None) -> None:
        self._models: dict[Key, _Model] = {}
        self._metrics = metrics or Metrics()

    def wait(self, key: Key) -> float:
        """Seconds until the model's next pass may begin."""
        model, now = self._models.get(key), _now()
        return model.allowance.wait(now) if model is not None and model.paced(now) else 0.0

    def begin(self, key: Key) -> None:
        """A pass over the model begins."""
        self._metrics.passes.inc()
        model, now = self._models.get(key), _now()
        if model is not None:
            model.allowance = model.allowance.taken(now) if model.paced(now) else _WHOLE

    def may_undo(self, key: Key, uid: str) -> bool:
        """Whether an object may be put back without a pass: as often as there may be passes, unless one was refused."""
        model, now = self._model(key), _now()
        if uid in model.refusals or (model.paced(now) and model.undos.wait(now)):
            return False
        model.undos = model.undos.taken(now) if model.paced(now) else _WHOLE
        return True

    def opposed(self, key: Key) -> None:
        """Something was put back without a pass."""
        self._model(key).opposed(_now())

    def moved(self, key: Key, moves: Sequence[Move]) -> list[Fact]:
        """Takes in what somebody moved, and returns what the timeline has to say about it."""
        model, now, told = self._model(key), _now(), list[Fact]()
        for (name, _), together in groupby(moves, key=lambda move: (move.object, move.version)):
            fields = list(together)
            before = model.fights.get(name) or Fight(name, fields[0].version)
            fight = model.fights[name] = before.joined(fields[0], now=now)
            if fight.moves > before.moves:
                self._count(key, past_fence=any(move.past_fence for move in fields))
            if fight.moves <= ENOUGH:
                told += chronicle.interferences(fields)
            if fight.moves == ENOUGH:
                told.append(chronicle.fought(fight))
        for fight in [fight for fight in model.fights.values() if fight.over(now)]:
            del model.fights[fight.object]
            told += [chronicle.fought_out(fight)] if fight.is_on else []
        return told

    def ended(self, key: Key) -> list[Fact]:
        """What the timeline has to say about all fights when the model is released."""
        model = self._models.get(key)
        return [chronicle.fought_out(fight) for fight in model.fights.values() if fight.is_on] if model else []

    def contested(self, key: Key) -> str | None:
        """What is fought over; "" for nothing, and None as long as that is not known."""
        model = self._models.get(key)
        if model is None:
            return None
        found = contested(model.fights.values())
        return found if found or _now() - model.since >= QUIET else None

    def kept_away(self, key: Key, plans: Sequence[ObjectPlan]) -> frozenset[str]:
        """Uids of objects that an earlier pass saw GitOps tools kept away from: only there can that be undone."""
        model = self._model(key)
        before = frozenset(model.kept_away)
        holding = [p for p in plans if any(is_aside(path) for path in p.wanted)]
        model.kept_away |= {p.uid for p in holding if not any(is_aside(change.path) for change in p.changes)}
        return before

    def put_off(self, key: Key, writes: Writes) -> dict[str, Problem]:
        """Those of the writes that were refused not long ago and are not due again yet, by uid of the object."""
        model, now = self._model(key), _now()
        wanted = {plan.uid for plan, _ in writes}
        model.refusals = {uid: refusal for uid, refusal in model.refusals.items() if uid in wanted}
        return {uid: refusal.problem for uid, refusal in model.refusals.items() if refusal.wait(now)}

    def answered(self, key: Key, sent: Writes, outcome: Outcome, *, undoing: bool) -> None:
        """Takes in what became of writes; `undoing`: somebody had moved what they put back."""
        model, now = self._model(key), _now()
        for uid in [p.uid for p, _ in sent if p.uid not in outcome.refused]:
            model.refusals.pop(uid, None)
        for uid, problem in outcome.refused.items():
            model.refusals[uid] = Refusal.after(model.refusals.get(uid), problem, now=now)
        self._metrics.refused_writes.labels(*key).inc(len(outcome.refused))
        if outcome.refused or (undoing and outcome.written):
            model.opposed(now)

    def retry_in(self, key: Key) -> float | None:
        """Seconds until the first of the refused writes is to be tried again; None if nothing is refused."""
        now = _now()
        return min((refusal.wait(now) for refusal in self._model(key).refusals.values()), default=None)

    def stirred(self, key: Key) -> None:
        """Something about the model has changed: what was refused may be tried again at once."""
        if (model := self._models.get(key)) is not None:
            now = _now()
            model.refusals = {uid: Refusal(r.problem, r.times, now) for uid, r in model.refusals.items()}

    def summoned(self, key: Key) -> None:
        """People, or an alert, want something of the model: its next pass waits for nothing."""
        self.stirred(key)
        if (model := self._models.get(key)) is not None:
            model.allowance = _WHOLE

    def forget(self, key: Key) -> None:
        """The model is not contained any more."""
        self._models.pop(key, None)

    def _model(self, key: Key) -> _Model:
        if key not in self._models:
            self._models[key] = _Model(_now())
            self._metrics.watch_model(*key)
        return self._models[key]

    def _count(self, key: Key, *, past_fence: bool) -> None:
        self._metrics.interferences.labels(*key).inc()
        if past_fence:
            self._metrics.fence_bypasses.labels(*key).inc()


def unfinished(writes: Writes, *, refused: Collection[str]) -> Writes:
    """Those after which the model must be looked at again before anything is proved.

    What merely keeps a GitOps tool away, and was `refused`, is a problem that nothing else has to wait for.
    """
    return [
        (p, changes)
        for p, changes in writes
        if p.uid not in refused or not all(is_aside(change.path) for change in changes)
    ]


def _now() -> float:
    return asyncio.get_running_loop().time()
