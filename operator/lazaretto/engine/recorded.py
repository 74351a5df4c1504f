"""What has to be right before anything runs a recorded pod template again, whoever is to run it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine, Mapping
from typing import Any

from lazaretto.api import ModelRevision
from lazaretto.domain.copy_of_record import lacking_text
from lazaretto.domain.demands import standing
from lazaretto.domain.identity import identity_of
from lazaretto.domain.recorded_template import template_of
from lazaretto.engine.current_pass import Pass
from lazaretto.engine.needs import missing
from lazaretto.errors import AlreadyExists, ApiError, Conflict, Forbidden, NotFound, TemplateRefused
from lazaretto.kube.api_server import Api
from lazaretto.kube.surface import template_in

log = logging.getLogger(__name__)

LONGEST = 5.0
"""Seconds after which a pass goes on without."""
MOST_QUOTED = 256


def recorded_template(current: Pass, *, revision: str, identity: str) -> Mapping[str, Any]:
    """The template that was recorded. Raises `TemplateRefused` unless it is what was chosen, and still good."""
    record = next((r for r in current.known.revisions if r.metadata.name == revision), None)
    if record is None or record.status.recorded is None:
        raise TemplateRefused("the record has no template any more")
    if named := _naming(current, record):
        raise TemplateRefused(f"incident {named} names that revision")
    template = template_of(record.status.recorded)
    if identity_of(template) != identity:
        raise TemplateRefused("what is recorded is not what was chosen")
    return template


async def check_needs(api: Api, template: Mapping[str, Any], *, namespace: str) -> None:
    """Raises `TemplateRefused` if something that its pods do not start without is missing."""
    if lacking := await missing(api, template, namespace=namespace):
        raise TemplateRefused(lacking_text(lacking))


def check_identity(stored: Mapping[str, Any], *, identity: str) -> None:
    """Raises `TemplateRefused` if the API server has made something else of the template."""
    found = identity_of(template_in(stored))
    if found != identity:
        text = f"admission changes what its pods would run: identity {found[:10]} instead of {identity[:10]}"
        raise TemplateRefused(text)


async def attempted(attempt: Coroutine[Any, Any, bool], *, doing: str, role: str, where: str) -> tuple[bool, str]:
    """What came of running a template again, and why it was not: nothing that fails keeps the pass from its end.

    `role` is what to bind where the right is lacking, `where` names the workload in the log. Raises `NotFound`,
    `AlreadyExists` and `Conflict`: what was read is older than what is there.
    """
    try:
        async with asyncio.timeout(LONGEST):
            return await attempt, ""
    except TemplateRefused as refusal:
        return False, str(refusal)
    except TimeoutError:
        return False, f"{doing} took longer than {LONGEST:g} s"
    except (AlreadyExists, NotFound, Conflict):
        raise
    except ApiError as error:
        # Admission refuses as the lack of a right does; only for that there is a role.
        told = f"; {role}" if isinstance(error, Forbidden) and "cannot" in error.message else ""
        return False, f"{error.message[:MOST_QUOTED]}{told}"
    except Exception:
        # A defect here must not keep the containment from being read back.
        log.exception("%s failed", where)
        return False, f"{doing} failed, see the operator's log"


def _naming(current: Pass, record: ModelRevision) -> str:
    """An incident by which the revision is not good, if there is one."""
    held = [h.incident for h in standing(current.triage.holds) if record.metadata.name in h.revisions]
    return next(iter([*held, *(r.incident for r in record.status.revoked_by)]), "")
