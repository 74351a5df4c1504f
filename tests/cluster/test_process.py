"""Tests that a child process is awaited, ended with all its descendants, and never left behind."""

from __future__ import annotations

import os
import shutil
import signal
import threading
import time
from pathlib import Path

import pytest

from tests.cluster.marker import Identity
from tests.cluster.process import ChildProcess, ProcessFailedError, free_ports, start_time

SHELL = shutil.which("sh") or "/bin/sh"


def child(folder: Path, *, script: str) -> ChildProcess:
    """Describes a shell that runs `script`."""
    return ChildProcess("worker", argv=[SHELL, "-c", script], log=folder / "worker.log", home=folder)


def printed(worker: ChildProcess) -> str:
    """Waits for the first line of output."""
    worker.wait_until(lambda: worker.log.read_text().endswith("\n"), seconds=10)
    return worker.log.read_text().strip()


def test_stop_ends_grandchildren_and_may_be_repeated(tmp_path: Path) -> None:
    worker = child(tmp_path, script="sleep 600 & echo $!; wait")
    worker.start()
    grandchild = int(printed(worker))
    assert start_time(grandchild)
    worker.stop()
    worker.stop()
    deadline = time.monotonic() + 5
    while start_time(grandchild):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert not worker.running


def test_deaf_child_is_killed_after_the_grace_time(tmp_path: Path) -> None:
    worker = child(tmp_path, script="trap '' TERM; echo deaf; while :; do sleep 0.05; done")
    worker.start()
    printed(worker)
    pid = worker.pid
    worker.stop(grace_seconds=0.2)
    assert start_time(pid) is None


def test_early_end_is_told_with_the_end_of_the_log(tmp_path: Path) -> None:
    worker = child(tmp_path, script="echo no such flag; exit 3")
    worker.start()
    with pytest.raises(ProcessFailedError, match=r"(?s)ended with status 3 before it was ready.*no such flag"):
        worker.wait_until(lambda: False, seconds=10)
    worker.stop()


def test_unready_child_is_told(tmp_path: Path) -> None:
    worker = child(tmp_path, script="sleep 600")
    worker.start()
    with pytest.raises(ProcessFailedError, match=r"worker was not ready after 0\.1 s"):
        worker.wait_until(lambda: False, seconds=0.1)
    worker.stop()


def test_child_outlives_the_thread_that_started_it(tmp_path: Path) -> None:
    worker = child(tmp_path, script="sleep 600")
    thread = threading.Thread(target=worker.start)
    thread.start()
    thread.join()
    time.sleep(0.2)
    assert worker.running
    worker.kill()


def test_child_sees_an_environment_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBECONFIG", "/somewhere")
    worker = child(tmp_path, script='echo "${KUBECONFIG:-none} $HOME $GOMEMLIMIT"')
    worker.start()
    assert printed(worker) == f"none {tmp_path} 1024MiB"
    worker.stop()


def test_child_may_be_started_again(tmp_path: Path) -> None:
    worker = child(tmp_path, script="echo $$; sleep 600")
    worker.start()
    first = int(printed(worker))
    worker.kill()
    worker.start()
    assert worker.pid != first
    worker.stop()


def test_identity_outlives_no_process(tmp_path: Path) -> None:
    worker = child(tmp_path, script="sleep 600")
    worker.start()
    identity = Identity.of(worker.pid, name="worker")
    assert identity.alive
    assert not Identity(name="worker", pid=worker.pid, started="1").alive
    os.kill(worker.pid, signal.SIGKILL)
    worker.stop()
    assert not identity.alive


def test_free_ports_differ() -> None:
    assert len(set(free_ports(20))) == 20
