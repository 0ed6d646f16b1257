"""Engines for the SQL tests: DuckDB in memory with our macros, and a temporary PostgreSQL."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import duckdb
import psycopg
import pytest

from proxy.sql.macros import MACRO_SCHEMA, MACROS


@pytest.fixture(scope="session")
def duck() -> Iterator[duckdb.DuckDBPyConnection]:
    connection = duckdb.connect()
    connection.execute(f"CREATE SCHEMA {MACRO_SCHEMA}")
    for macro in MACROS:
        connection.execute(macro)
    connection.execute("SET TimeZone = 'UTC'")
    yield connection
    connection.close()


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[psycopg.Connection]:
    """A connection to a PostgreSQL that lives for this test run, on a socket in a directory of its own."""
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a PostgreSQL server binary")
        pytest.skip("no PostgreSQL server binary")
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    directory = Path(tempfile.mkdtemp(prefix="bough-pg-", dir="/tmp"))
    if as_postgres:
        shutil.chown(directory, "postgres")
    data = directory / "data"

    def run(*command: str) -> None:
        subprocess.run([*as_postgres, *command], check=True, capture_output=True, cwd=directory, timeout=120)

    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off -c TimeZone=UTC"
    try:
        run(
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        )
        run(
            str(binaries / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-o",
            options,
            "-l",
            str(directory / "log"),
            "start",
        )
        with psycopg.connect(
            host=str(directory), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            yield connection
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
