"""The API server in memory that stands behind the receiver here.

`tests/cluster/test_receiver.py` runs the same stories against the real one.
"""

from __future__ import annotations

from tests.engine.memory_api import MemoryApi as FakeApi
from tests.engine.memory_api import failure

__all__ = ["FakeApi", "failure"]
