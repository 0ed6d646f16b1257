"""``bough serve`` in a process, to be killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

ROOT = Path(__file__).parents[2]


@dataclass
class ProcessServer:
    """``bough serve`` in a process of its own."""

    process: subprocess.Popen[str]
    port: int

    def connect(self, dbname: str = "main", **more: Any) -> psycopg.Connection[Any]:
        dsn = f"host=127.0.0.1 port={self.port} user=alice dbname={dbname} connect_timeout=10"
        return psycopg.connect(dsn, autocommit=True, **more)

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate(timeout=20)

    def terminate(self) -> tuple[int, str]:
        """SIGTERM; the exit code and what was logged."""
        self.process.send_signal(signal.SIGTERM)
        _, errors = self.process.communicate(timeout=20)
        return self.process.returncode, errors


def run_server(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "proxy", "serve", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONUNBUFFERED": "1"},
    )
