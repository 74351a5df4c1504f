"""One pass over one model: gather, decide, journal, write, read back, report.

A pass derives everything from what is stored and what is live; it keeps nothing from the pass
before. So it does not matter where an earlier one was killed, how often this one runs, or in
which order events came. All incidents of a model are decided in the same pass, and passes of
one model never overlap, because they hold the same objects.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import replace

from lazaretto.api import Containment, reasons
from lazaretto.domain.contest import Move
from lazaretto.domain.demands import demand_of, standing
from lazaretto.domain.evidence import Finding, Problem
from lazaretto.domain.scene import Demand, Scene
from lazaretto.engine.apply import apply
from lazaretto.engine.clock import Clock
from lazaretto.engine.collector import Collection, Collector
from lazaretto.engine.copying import Copying
from lazaretto.engine.current_pass import Pass, cut_off, journal_of, look_up, names, settled
from lazaretto.engine.fence import fence_lost, prove_fence
from lazaretto.engine.gather import confirm, scene_of
from lazaretto.engine.interference import interferences
from lazaretto.engine.isolation import Round
from lazaretto.engine.journal import Journal
from lazaretto.engine.opposition import Opposition, Writes, unfinished
from lazaretto.engine.orphans import orphans
from lazaretto.engine.plan import gone, plan
from lazaretto.engine.proof import prove
from lazaretto.engine.reaching import arrived, busy, coming_back, look, reached, told
from lazaretto.engine.release import gives_back, marked, waiting_for
from lazaretto.engine.report import Reporter
from lazaretto.engine.rolling_back import RollingBack, rolled_back
from lazaretto.engine.sentry import Watched
from lazaretto.engine.standing import standings
from lazaretto.engine.store import Key, Store
from lazaretto.engine.surroundings import Surroundings
from lazaretto.engine.triage import triage
from lazaretto.engine.undo import Order, Undo
from lazaretto.engine.usage import beside, uncounted
from lazaretto.errors import Conflict
from lazaretto.kube.api_server import Api

log = logging.getLogger(__name__)

NOW = 0.0
SOON = 0.15
WAITING = 1.0
STALLED = 10.0
"""What a person mends - a right, a workload, a revision that has soaked - rings no bell."""
LATER = 5.0
NEVER = None


class Reconciler:
    """See the module's text.

    `guard` is told which objects are held, to be watched from then on; `changed` that a model's
    containment began, came further, or ended. `policies` says whether admission is as it should be.
    `collector` keeps what is about to be destroyed.
    `surroundings` saves reads, and may know nothing.
    `opposition` puts off writes that were refused before, and remembers who moved what.
    """

    def __init__(
        self,
        api: Api,
        store: Store,
        reporter: Reporter,
        *,
        clock: Clock,
        guard: Callable[[Key, Sequence[Watched]], None],
        changed: Callable[[Key], None],
        policies: Callable[[], Finding],
        collector: Collector,
        surroundings: Surroundings | None = None,
        opposition: Opposition | None = None,
        undo: Undo | None = None,
    ) -> None:
        self._api = api
        self._store = store
        self._journal = Journal(api, store)
        self._copying = Copying(api, self._journal)
        self._rolling_back = RollingBack(api, self._journal)
        self._reporter = reporter
        self._clock = clock
        self._guard = guard
        self._changed = changed
        self._policies = policies
        self._collector = collector
        self._surroundings = surroundings or Surroundings()
        self._opposition = opposition or Opposition()
        self._undo = undo or Undo(api, self._opposition)

    async def reconcile(self, key: Key) -> float | None:
        """Bring one model to where it should be; the seconds until it wants another pass, or None.

        Raises `ApiError` when the API server could not be read or the journal not be written:
        nothing was touched, and the pass is to be repeated.
        """
        known = look_up(self._store, key)
        if not known.open_incidents and known.containment is None:
            self._guard(key, ())
            self._forget(key)
            return NEVER
        if known.containment is None and uncounted(self._store, key):
            return SOON
        try:
            if known.containment is not None:
                known = replace(known, containment=await self._journal.prune(known.containment))
        except Conflict:
            return NOW
        live = await self._surroundings.look(self._api, known)
        now = self._clock.now()
        # From here to the end of the decision nothing is awaited: no other pass decides on the same figures.
        known = beside(known, live, store=self._store, now=now)
        decided = triage(
            known,
            workloads=live.workloads,
            denied=live.denied,
            now=now,
            all_workloads_seen=live.all_workloads_seen,
        )
        current = Pass(known, live, decided, now)
        if decided.holds:
            self._store.beginning[key] = decided.holds
        try:
            delay = await self._hold(current)
        except Conflict:
            return NOW
        finally:
            self._store.beginning.pop(key, None)
        current.outcome.problems += current.unmade
        current.orphaned = await orphans(self._api, known)
        self._report(current)
        if current.back is not None and current.back.complete:
            return await self._finish(current)
        if delay is NEVER and any(verdict.stalled for verdict in decided.verdicts.values()):
            # An API server that has just started refuses all that it has not read the roles for yet.
            return min(max(WAITING, current.age), STALLED) if live.denied else STALLED
        if decided.holds and live.recalled:
            # What was contained is what was known of the model. Now whatever else there is.
            return SOON if delay is NEVER else min(delay, SOON)
        return delay

    async def _hold(self, current: Pass) -> float | None:
        """Journal, write, read back; and restore what nothing demands any more."""
        known, holds = current.known, current.triage.holds
        if not holds and known.containment is None:
            self._forget(current.key)
            return NEVER
        await look(self._api, current)
        scene, demand = await self._plan(current)
        if arrived(current):
            scene, demand = await self._plan(current)
        snapshots = self._collector.begin(current)
        containment = await self._journalled(current, scene=scene, demand=demand)
        current.journal = containment
        releasing = gives_back(holds, demand=demand, plans=current.plans)
        overtaken = await self._undo.overtaken(current.key, current.plans)
        if releasing and overtaken:
            raise Conflict(409, "held again since it was read", request=f"release of {known.name}")
        self._undo.stand(current.key, Order(containment, scene, demand))
        moves = self._moves(current, overtaken=overtaken)
        writes: Writes = [(p, p.changes) for p in current.plans if p.changes and p.uid not in overtaken]
        if releasing:
            current.back = await coming_back(self._api, current, containment)
            writes += current.back.writes
        refused = await self._write(current, writes, undoing=bool(moves), snapshots=snapshots)
        self._collector.submit(snapshots, current)
        # Only now: opening a watch costs a handshake, and the first look at an object rings by itself.
        self._guard(current.key, [*containment.spec.targets, *demand.rolled_back, *current.isolated.watched])
        current.outcome.problems += [Problem(reasons.FORBIDDEN, text) for text in current.live.denied]
        current.outcome.problems += [Problem(reasons.MODEL_TOO_LARGE, text) for text in current.refused]
        if demand.pause_gitops:
            current.outcome.problems += [Problem(reasons.FORBIDDEN, text) for text in current.live.unread]
        if current.back is not None and current.isolated.leftovers:
            current.back = waiting_for(current.isolated.leftovers, back=current.back)
        at_rest = not writes
        if await self._copying.work(current, at_rest=at_rest) or await self._rolling_back.work(
            current, at_rest=at_rest
        ):
            return SOON
        if unfinished(writes, refused=refused) or overtaken or current.isolated.restless:
            current.back = replace(current.back, complete=False) if current.back else None
            return self._again(current)
        if standing(holds) and not current.live.recalled:
            return await self._read_back(current, containment, scene=scene, demand=demand)
        return WAITING

    async def _write(
        self, current: Pass, writes: Writes, *, undoing: bool, snapshots: Sequence[Collection]
    ) -> AbstractSet[str]:
        """Send what is not put off, which is still a problem; uids of what was refused, now or before."""
        put_off = self._opposition.put_off(current.key, writes)
        sent = [(p, changes) for p, changes in writes if p.uid not in put_off]
        with Round(self._api, self._journal, current) as isolation:

            async def before_workloads() -> None:
                await asyncio.gather(self._collector.ready(snapshots), isolation.kept())

            current.outcome = await apply(self._api, sent, before_workloads=before_workloads)
            current.isolated = await isolation.done()
        self._opposition.answered(current.key, sent, current.outcome, undoing=undoing)
        current.outcome.problems += [*put_off.values(), *current.isolated.problems]
        current.outcome.stale += current.isolated.stale
        current.facts += current.isolated.facts
        return put_off.keys() | current.outcome.refused.keys()

    def _again(self, current: Pass) -> float:
        """When to look again after writes."""
        outcome = current.outcome
        if outcome.stale:
            return NOW
        if (outcome.written or current.isolated.written) and not outcome.problems:
            return SOON
        refused = self._opposition.retry_in(current.key)
        return WAITING if refused is None or outcome.written else max(SOON, refused)

    async def _read_back(
        self, current: Pass, containment: Containment, *, scene: Scene, demand: Demand
    ) -> float | None:
        """Prove what is held, and that admission would refuse to undo it."""
        seen = current.live.all_workloads_seen
        kept = current.isolated.kept_uids
        proving = prove(self._api, plans=current.plans, scene=scene, demand=demand, all_workloads_seen=seen, kept=kept)
        policies = self._policies()
        evidence, fenced = await asyncio.gather(proving, prove_fence(self._api, current.plans, policies=policies))
        evidence = rolled_back(evidence, current, demand=demand)
        current.evidence = evidence.behind(fenced).beside(current.isolated.finding, kept=current.isolated.kept)
        current.evidence = told(current.evidence, current, demand=demand)
        delay = NEVER if settled(evidence) and not current.outcome.problems else WAITING
        delay = (WAITING if busy(current) else LATER) if reached(current) else delay
        if fenced.status != "True" and current.young:
            # A hold takes effect in admission some milliseconds after it was stored.
            delay = WAITING
        # Nothing is written about a lost fence: the ticker asks again.
        current.outcome.problems += fence_lost(fenced, before=containment.status.conditions)
        if current.evidence.level != containment.status.proof:
            self._changed(current.key)
        return delay

    async def _plan(self, current: Pass) -> tuple[Scene, Demand]:
        """Plan the writes, on copies of their objects that were read by name."""
        known = current.known
        while True:
            live = current.live
            scene = scene_of(live, namespace=known.namespace, model=known.name, containment=known.containment)
            demand = demand_of(current.triage.holds, workloads=live.workloads)
            plans = plan(live, scene=scene, demand=demand, containment=known.containment)
            current.plans, current.refused = plans.objects, plans.refused
            cached = [(p.surface, p.obj) for p in current.plans if p.uid not in live.newest]
            if not cached:
                return scene, demand
            current.live = await confirm(self._api, live, cached, namespace=known.namespace)

    def _moves(self, current: Pass, *, overtaken: AbstractSet[str]) -> Sequence[Move]:
        """What somebody moved that this pass puts back; all of it is told, and what was put back before."""
        key, plans = current.key, [p for p in current.plans if p.uid not in overtaken]
        kept_away = self._opposition.kept_away(key, current.plans)
        current.undone = self._undo.unheard(key)
        moves = list(interferences(plans, current.known.containment, kept_away=kept_away))
        current.facts += self._opposition.moved(key, [*current.undone, *moves])
        current.contested = self._opposition.contested(key)
        return moves

    def _forget(self, key: Key) -> None:
        """The model is not contained any more."""
        self._opposition.forget(key)
        self._undo.rest(key)

    async def _journalled(self, current: Pass, *, scene: Scene, demand: Demand) -> Containment:
        known = current.known
        spec = journal_of(current, cut_off=cut_off(current, scene=scene, demand=demand))
        stored = await self._journal.write(spec, namespace=known.namespace, current=known.containment)
        if known.containment is None:
            self._changed(current.key)
        return stored

    async def _finish(self, current: Pass) -> float | None:
        """Everything that was released is restored: say so, then let go of the journal."""
        known = current.known
        await asyncio.gather(*self._reporter.pending(known.namespace, names(current, releasing=True)))
        containment = self._store.containment(known.namespace, known.name)
        if containment is None:
            return NEVER
        if current.journal is None or containment.spec != current.journal.spec:
            # Another writer was here: what this pass saw restored may be held again.
            return NOW
        staying = standing(containment.spec.holds)
        if not staying:
            await self._journal.remove(containment)
            self._guard(current.key, ())
            self._changed(current.key)
            return NOW
        assert current.back is not None  # noqa: S101  # checked by the caller
        done = {*current.back.finished, *(t.uid for t in gone(current.live, containment))}
        # Marked now, removed by the next pass: admission lets go of an entry only once its uid stands there.
        spec = marked(current.plans, containment.spec, staying=staying, restored=done)
        await self._journal.write(spec, namespace=known.namespace, current=containment)
        return NOW

    def _report(self, current: Pass) -> None:
        """Hand every open incident's new standing, and the containment's, to the status lane."""
        ended = self._opposition.ended(current.key) if current.back is not None and current.back.complete else ()
        for each in standings(current, taken=self._collector.taken, ended=ended):
            self._reporter.incident(each)
        self._reporter.containment(current)
        self._undo.heard(current.key, current.undone)
