"""Holds whose incident is gone: they stay, nobody can approve their release, and people are told the way out.

Whether an incident is gone is asked of the API server: after a start the copies of incidents are still filling up.
"""

from __future__ import annotations

from lazaretto.api.containment import Hold
from lazaretto.engine.triage import Known
from lazaretto.errors import ApiError, NotFound
from lazaretto.kube.api_server import Api
from lazaretto.kube.resource import INCIDENTS
from lazaretto.kube.surface import uid_of

WAY_OUT = (
    "AIIncident {incident} is gone, so nobody can approve a release; what it holds stays held. To restore everything,"
    " set releasing of its entry in spec.holds to true (index {index}): kubectl -n {namespace} patch ctm {model}"
    ' --type=json -p \'[{{"op":"add","path":"/spec/holds/{index}/releasing","value":true}}]\''
    " as the group lazaretto:break-glass"
)


async def orphans(api: Api, known: Known) -> list[str]:
    """What to tell people about each hold without an incident; none while that is not certain."""
    alive = {incident.metadata.uid for incident in known.incidents}
    missing = [(i, h) for i, h in enumerate(known.holds) if h.incident_uid not in alive and not h.releasing]
    return [_way_out(known, hold, index=i) for i, hold in missing if await _gone(api, known.namespace, hold)]


async def _gone(api: Api, namespace: str, hold: Hold) -> bool:
    try:
        found = await api.get(INCIDENTS, namespace=namespace, name=hold.incident)
    except NotFound:
        return True
    except ApiError:
        return False
    return uid_of(found) != hold.incident_uid


def _way_out(known: Known, hold: Hold, *, index: int) -> str:
    return WAY_OUT.format(incident=hold.incident, index=index, namespace=known.namespace, model=known.name)
