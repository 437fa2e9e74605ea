"""Ends a server whose starter died without a chance to do so (kill -9, out of memory).

Run as a script, as a child of the starter: `python watchdog.py STARTER_PID SERVER_PID`. Polling the parent works on
every POSIX system and, unlike a pipe, is not kept alive by a forked sibling; unlike PR_SET_PDEATHSIG it does not
fire when only the thread that started the server ends.
"""

import os
import signal
import sys
import time

POLL_SECONDS = 0.2
GRACE_SECONDS = 10.0


def watch(starter: int, server: int) -> None:
    """Return when the server is gone; end it (SIGTERM, then SIGKILL) once `starter` is no longer our parent."""
    while os.getppid() == starter:
        if not is_alive(server):
            return
        time.sleep(POLL_SECONDS)
    end(server)


def is_alive(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def end(server: int) -> None:
    """SIGTERM, and SIGKILL if that has not helped after `GRACE_SECONDS`."""
    give_up = time.monotonic() + GRACE_SECONDS
    try:
        os.kill(server, signal.SIGTERM)
        while time.monotonic() < give_up:
            time.sleep(POLL_SECONDS)
            os.kill(server, 0)
        os.kill(server, signal.SIGKILL)
    except ProcessLookupError:
        pass


if __name__ == "__main__":
    watch(int(sys.argv[1]), int(sys.argv[2]))
