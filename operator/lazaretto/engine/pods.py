"""The pods of a workload, as they are now."""

from __future__ import annotations

from lazaretto.domain.pod import is_finished
from lazaretto.domain.scene import Workload
from lazaretto.kube.api_server import Api, Object
from lazaretto.kube.request import label_selector
from lazaretto.kube.resource import PODS


async def unfinished_pods(api: Api, workload: Workload, *, namespace: str) -> list[Object]:
    """Those that its selector selects and that are not over. Raises `ApiError` when they cannot be read."""
    pods = await api.list(PODS, namespace=namespace, labels=label_selector(workload.selector))
    return [pod for pod in pods if not is_finished(pod)]
