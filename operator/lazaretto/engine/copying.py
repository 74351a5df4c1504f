"""Makes the copy that a hold awaits, of a recorded pod template, and removes it at the release.

The journal names a copy before it exists, so a process that dies leaves nothing that the next one does not know: what
it finds under that name, marked as ours, it takes for its own if it is what it would make, and makes anew if not. The
copy is made after everything that contains the model was written, and only if the API server, asked by a dry run, would
store what was recorded. Nothing that fails here keeps a model from being contained.
"""

from __future__ import annotations

from collections.abc import Mapping

from lazaretto.api import reasons
from lazaretto.api.containment import WorkloadCopy
from lazaretto.domain.copy_of_record import ROLE, copy_body, is_as_made, is_ours
from lazaretto.domain.copy_ready import is_wanted
from lazaretto.domain.demands import standing
from lazaretto.domain.evidence import Problem
from lazaretto.domain.identity import identity_of
from lazaretto.domain.timeline import Fact
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.journal import Journal
from lazaretto.engine.recorded import MOST_QUOTED, attempted, check_identity, check_needs, recorded_template
from lazaretto.engine.release import waiting_for
from lazaretto.errors import AlreadyExists, ApiError, Conflict, NotFound, TemplateRefused
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import create, dry_run
from lazaretto.kube.resource import DEPLOYMENTS
from lazaretto.kube.surface import name_of, template_in, uid_of

MANAGER = "lazaretto-copy"


class Copying:
    """See the module's text."""

    def __init__(self, api: Api, journal: Journal) -> None:
        self._api = api
        self._journal = journal

    async def work(self, current: Pass, *, at_rest: bool) -> bool:
        """Make or remove what the pass calls for; whether it is worth looking again at once.

        `at_rest`: nothing of what contains the model is left to be written. Raises `Conflict` if the journal changed.
        """
        journal = current.journal
        if journal is None or not journal.spec.copies:
            return False
        restless = False
        awaited = {h.awaits.name for h in standing(journal.spec.holds) if h.awaits is not None}
        for copy in journal.spec.copies:
            if copy.name in awaited:
                restless = (at_rest and await self._make(current, copy)) or restless
            elif not is_wanted(copy, holds=journal.spec.holds):
                restless = await self._remove(current, copy) or restless
        return restless

    async def _make(self, current: Pass, copy: WorkloadCopy) -> bool:
        where = f"copy {current.key[0]}/{copy.name}"
        try:
            done, problem = await attempted(self._made(current, copy), doing="making it", role=ROLE, where=where)
        except (AlreadyExists, NotFound):
            # What we read was older than what is there: look again.
            return True
        if not problem:
            return done
        text = f"no copy Deployment/{copy.name} of {copy.revision}: {problem}"
        current.unmade.append(Problem(reasons.COPY_REFUSED, text))
        return False

    async def _made(self, current: Pass, copy: WorkloadCopy) -> bool:
        found = _named(current, copy.name)
        if found is not None and uid_of(found) == copy.uid:
            if identity_of(template_in(found)) != copy.identity:
                raise TemplateRefused("somebody changed its template; delete it to have it made anew")
            return False
        template = recorded_template(current, revision=copy.revision, identity=copy.identity)
        body = copy_body(copy, template, model=current.known.name, apart_from=_apart_from(current, copy))
        if found is not None and not is_ours(found, model=current.known.name):
            raise TemplateRefused("there is another of that name, and not ours: delete or rename it")
        if found is not None and is_as_made(found, body):
            await self._record(current, copy, found)
            return True
        if found is not None:
            await self._api.delete(DEPLOYMENTS, namespace=current.key[0], name=copy.name, uid=uid_of(found))
            return True
        await check_needs(self._api, template, namespace=current.key[0])
        rehearsal = dry_run(create(DEPLOYMENTS, body, namespace=current.key[0], manager=MANAGER))
        check_identity(await self._api.patch(rehearsal), identity=copy.identity)
        stored = await self._api.create(DEPLOYMENTS, body, namespace=current.key[0], manager=MANAGER)
        try:
            check_identity(stored, identity=copy.identity)
        except TemplateRefused:
            await self._api.delete(DEPLOYMENTS, namespace=current.key[0], name=copy.name, uid=uid_of(stored))
            raise
        await self._record(current, copy, stored)
        return True

    async def _record(self, current: Pass, copy: WorkloadCopy, made: Object) -> None:
        """The journal learns which one it is."""
        journal = current.journal
        assert journal is not None  # noqa: S101  # checked before anything was made
        uid = uid_of(made)
        copies = [c.model_copy(update={"uid": uid}) if c.name == copy.name else c for c in journal.spec.copies]
        spec = journal.spec.model_copy(update={"copies": copies})
        current.journal = await self._journal.write(spec, namespace=current.key[0], current=journal)
        text = f"Deployment/{copy.name} was made at 0 replicas of the template that {copy.revision} recorded"
        current.facts.append(Fact(f"copied:{uid}", "Copied", text, object=f"Deployment/{copy.name}"))

    async def _remove(self, current: Pass, copy: WorkloadCopy) -> bool:
        """Remove one that no standing hold needs, once everything else of the release is done."""
        found, back = _named(current, copy.name), current.back
        if found is None or back is None or not back.complete or not _is_this(found, copy, current):
            return False
        current.back = waiting_for([f"Deployment/{copy.name}"], back=back)
        if found["metadata"].get("deletionTimestamp"):
            return False
        try:
            await self._api.delete(DEPLOYMENTS, namespace=current.key[0], name=copy.name, uid=uid_of(found))
        except Conflict:
            return True
        except ApiError as error:
            text = f"could not remove the copy Deployment/{copy.name}: {error.message[:MOST_QUOTED]}; {ROLE}"
            current.outcome.problems.append(Problem(reasons.COPY_REFUSED, text))
            return False
        text = f"Deployment/{copy.name}, the copy of {copy.revision}, was removed"
        current.facts.append(Fact(f"uncopied:{uid_of(found)}", "Restored", text, object=f"Deployment/{copy.name}"))
        return True


def _named(current: Pass, name: str) -> Object | None:
    found = (
        obj
        for surface, objects in current.live.objects.items()
        if surface.resource == DEPLOYMENTS
        for obj in objects
        if name_of(obj) == name
    )
    return next(found, None)


def _is_this(found: Object, copy: WorkloadCopy, current: Pass) -> bool:
    """Whether it is the copy that was made, or one that was made and not recorded."""
    return uid_of(found) == copy.uid or is_ours(found, model=current.known.name)


def _apart_from(current: Pass, copy: WorkloadCopy) -> list[Mapping[str, str]]:
    """Selectors of everything else that serves the model, compromised or not."""
    selectors: list[Mapping[str, str]] = [w.selector for h in current.triage.holds for w in h.compromised]
    selectors += [w.selector for w in current.live.workloads if w.name != copy.name]
    return sorted(filter(None, selectors), key=lambda selector: sorted(selector.items()))
