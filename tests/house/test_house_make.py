"""The Makefile and the CI script: what a stranger runs first."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def _dry_run(target: str) -> str:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    done = subprocess.run(
        ["make", "-n", "-B", target], cwd=ROOT, capture_output=True, text=True, check=True, env=_environment()
    )
    return done.stdout


def _environment() -> dict[str, str]:
    """Ours without what an outer make hands down."""
    return {
        name: value for name, value in os.environ.items() if name not in ("MAKEFLAGS", "MAKELEVEL", "MFLAGS")
    }


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("serve", "bough serve bough.duckdb --sample"),
        ("demo", "bough demo"),
        ("test", "not slow and not docker"),
        ("test-all", '-m "not docker"'),
        ("oracle", "tests/branching/test_merge_schema_oracle.py"),
        ("lint", "lint-imports"),
        ("types", "mypy"),
        ("bench", "-m bench"),
    ],
)
def test_targets(target: str, part: str) -> None:
    assert part in _dry_run(target)


def test_a_missing_venv_module_is_said(tmp_path: Path) -> None:
    """A python3 as Debian ships it: there, new enough, but without venv."""
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    fake = tmp_path / "python3"
    fake.write_text('#!/bin/sh\ncase "$2" in *ensurepip*) exit 1;; esac\nexit 0\n')
    fake.chmod(fake.stat().st_mode | stat.S_IXUSR)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    done = subprocess.run(
        ["make", f"PYTHON={fake}", "install"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        env=_environment(),
    )
    assert done.returncode != 0
    assert "apt-get install python3-venv" in done.stdout
    assert not (tmp_path / ".venv").exists()


def test_ci_is_a_script_that_stops_at_the_first_failure() -> None:
    script = ROOT / ".ci" / "run"
    text = script.read_text(encoding="utf-8")
    assert text.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in text
    assert os.access(script, os.X_OK)
    assert "export CI=true" in text
    for command in ("make lint types", "make test-all"):
        assert command in text
    assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
