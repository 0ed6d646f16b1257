"""A process that does pieces of work, each in a fork of its own that may be killed in the middle of it.

Reads a line of JSON for each piece: its arguments. Answers ``done`` where the work has ended, ``killed`` where the fork
was killed before, ``failed`` where it raised. What takes the time of a process is importing a library; a fork has it.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import traceback
from collections.abc import Callable


def serve(work: Callable[..., None]) -> None:
    """Does ``work`` with the arguments of each line."""
    for line in sys.stdin:
        heard, said = os.pipe()
        if (process := os.fork()) == 0:
            try:
                work(*json.loads(line))
                os.write(said, b"done")
                os.kill(os.getpid(), signal.SIGKILL)
            except BaseException:
                traceback.print_exc()
            os._exit(1)
        os.close(said)
        done = os.read(heard, 4) == b"done"
        os.close(heard)
        _, status = os.waitpid(process, 0)
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        print(("done" if done else "killed") if killed else "failed", flush=True)
