"""Requests through the operator's own client, for what kubectl cannot be made to send."""

from __future__ import annotations

import asyncio
from pathlib import Path

from lazaretto.kube.api_server import ApiServer
from lazaretto.kube.request import Request
from lazaretto.kube.retry import RetryPolicy
from lazaretto.kube.transport import connect


def send_patch(request: Request, *, kubeconfig: Path) -> None:
    """Sends a patch; raises the `ApiError` that the answer stands for."""

    async def send() -> None:
        transport = await connect(str(kubeconfig))
        try:
            await ApiServer(transport, policy=RetryPolicy(deadline=2.0)).patch(request)
        finally:
            await transport.close()

    asyncio.run(send())
