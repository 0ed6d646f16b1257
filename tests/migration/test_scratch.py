"""Temporary files of a process that was killed are removed by the next that needs some; those in use are not."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from migration.scratch import Scratch
from proxy.session.remote.state import RemoteState
from proxy.settings import load

KILLED = """
import os, signal
from migration.scratch import Scratch
with Scratch() as scratch:
    (scratch.path / "rows.csv").write_text("1,2")
    print(scratch.path, flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.fixture(autouse=True)
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("start", [True, False])
def test_what_a_killed_process_left_is_removed_and_what_others_use_is_not(
    directory: Path, start: bool
) -> None:
    """``start``: by a server that starts, else by who needs the next."""
    strange = directory / "bough-not-ours"
    strange.mkdir()
    with Scratch() as first:
        process = subprocess.run(
            [sys.executable, "-c", KILLED],
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=False,
        )
        assert process.returncode == -signal.SIGKILL, process.stderr
        left = Path(process.stdout.strip())
        assert left.parent == directory
        assert (left / "rows.csv").exists()
        if start:
            RemoteState(None, load({"file": ":memory:"}, {}, None))
            assert set(directory.iterdir()) == {strange, first.path}
        else:
            with Scratch() as second:
                assert set(directory.iterdir()) == {strange, first.path, second.path}
    assert list(directory.iterdir()) == [strange]
