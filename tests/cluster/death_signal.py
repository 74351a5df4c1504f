"""Runs a command that the kernel kills as soon as the process that asked for it is gone.

Run by path, never imported: `death_signal.py <pid of the parent> <command> [argument...]`. It asks the kernel
for SIGKILL on the parent's death and then becomes the command, so the pid stays the same. A separate small
program rather than a `preexec_fn`, because running Python between fork and exec is unsafe with threads.

Only Linux has such a signal; elsewhere the command simply runs.
"""

import ctypes
import os
import signal
import sys

PR_SET_PDEATHSIG = 1


def become(parent: int, *, command: list[str]) -> None:
    """Replaces this process by `command`, or ends with status 1 when `parent` is already gone."""
    if sys.platform == "linux":
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.exit(f"prctl(PR_SET_PDEATHSIG): {os.strerror(ctypes.get_errno())}")
    # The parent may have died before prctl took effect; then no signal will ever come.
    if os.getppid() != parent:
        sys.exit(1)
    os.execv(command[0], command)


if __name__ == "__main__":
    become(int(sys.argv[1]), command=sys.argv[2:])
