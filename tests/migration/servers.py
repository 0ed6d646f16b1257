"""Servers for the tests, on free ports of 127.0.0.1: PostgreSQL and MariaDB from the system's packages, the
ClickHouse engine of PyPI's chdb behind a stand-in for its HTTP interface.

Each is started once for a test run, in a directory of its own, and stopped at the end. A server that is not
installed is a skip, which ``tests/conftest.py`` turns into a failure under CI=true.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest


@dataclass(frozen=True)
class Server:
    """Where a started server listens."""

    host: str
    port: int
    user: str
    database: str
    password: str = ""

    @property
    def options(self) -> dict[str, str]:
        """What a datasource needs to reach it."""
        found = {"host": self.host, "port": str(self.port), "user": self.user, "database": self.database}
        return {**found, "password": self.password} if self.password else found


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _find(name: str, *directories: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([*directories, os.environ.get("PATH", "")]))


def wait_for_port(port: int, process: subprocess.Popen[bytes], log: Path, seconds: int = 30) -> None:
    """Until somebody listens; RuntimeError with the log if the process ends or the time is over."""
    for _ in range(seconds * 20):
        with socket.socket() as probe:
            probe.settimeout(1)
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        if process.poll() is not None:
            break
        time.sleep(0.05)
    process.kill()
    process.wait()
    raise RuntimeError(f"the server did not start:\n{log.read_text(errors='replace')}")


def _wait_for_queries(conninfo: str) -> None:
    """PostgreSQL listens before it takes sessions: on a busy machine, seconds before."""
    for attempt in range(200):
        try:
            psycopg.connect(conninfo, connect_timeout=10).close()
        except psycopg.OperationalError:
            if attempt == 199:
                raise
            time.sleep(0.05)
        else:
            return


@contextmanager
def _directory(owner: str | None) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix="bough-server-"))
    if owner is not None:
        shutil.chown(path, owner)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def _unprivileged(*names: str) -> str | None:
    """A user to run as, where we are root and the server refuses root."""
    if os.getuid() != 0:
        return None
    known = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in (*names, "nobody") if name in known), None)


@contextmanager
def postgres_server() -> Iterator[Server]:
    """PostgreSQL 15 or newer with user bough, who needs no password."""
    places = sorted((str(path) for path in Path("/usr/lib/postgresql").glob("*/bin")), reverse=True)
    initdb, postgres = _find("initdb", *places), _find("postgres", *places)
    if initdb is None or postgres is None:
        pytest.skip("no PostgreSQL server is installed")
    owner, port = _unprivileged("postgres"), free_port()
    with _directory(owner) as home:
        data, log = home / "data", home / "log"
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        subprocess.run(
            [initdb, "-D", str(data), "-U", "bough", "-A", "trust", "-E", "UTF8", "--no-sync"],
            check=True, capture_output=True, user=owner, cwd=home, env=environment,
        )  # fmt: skip
        settings = [
            "fsync=off",
            "full_page_writes=off",
            "synchronous_commit=off",
            f"unix_socket_directories={home}",
        ]
        with log.open("wb") as output:
            process = subprocess.Popen(
                [postgres, "-D", str(data), "-h", "127.0.0.1", "-p", str(port)]
                + [part for setting in settings for part in ("-c", setting)],
                stdout=output, stderr=output, user=owner, cwd=home, env=environment,
            )  # fmt: skip
        try:
            wait_for_port(port, process, log)
            _wait_for_queries(f"host=127.0.0.1 port={port} user=bough dbname=postgres")
            yield Server("127.0.0.1", port, "bough", "postgres")
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)


@contextmanager
def mariadb_server() -> Iterator[Server]:
    """MariaDB with user bough and database bough; LOCAL INFILE is allowed."""
    install, server = _find("mariadb-install-db"), _find("mariadbd", "/usr/sbin")
    if install is None or server is None:
        pytest.skip("no MariaDB server is installed")
    owner, port = _unprivileged("mysql"), free_port()
    with _directory(owner) as home:
        data, log, start = home / "data", home / "log", home / "start.sql"
        start.write_text(
            "CREATE DATABASE bough CHARACTER SET utf8mb4;\n"
            "CREATE USER bough@'127.0.0.1' IDENTIFIED BY 'open sesame';\n"
            "GRANT ALL ON *.* TO bough@'127.0.0.1';\n"
            "CREATE USER peer@'127.0.0.1' IDENTIFIED BY 'peer';\n"  # for tools that take no space in a password
            "GRANT SELECT ON *.* TO peer@'127.0.0.1';\n"
        )
        start.chmod(0o644)
        subprocess.run(
            [
                install, "--no-defaults", f"--datadir={data}", "--skip-test-db",
                "--auth-root-authentication-method=normal",
            ],
            check=True, capture_output=True, user=owner, cwd=home,
        )  # fmt: skip
        with log.open("wb") as output:
            process = subprocess.Popen(
                [
                    server, "--no-defaults", f"--datadir={data}", f"--port={port}", "--bind-address=127.0.0.1",
                    f"--socket={home}/socket", f"--pid-file={home}/pid", f"--init-file={start}", "--local-infile=1",
                    f"--tmpdir={data}",  # each MariaDB that starts takes away what others have in a common one
                    "--innodb-flush-log-at-trx-commit=0", "--skip-name-resolve", "--character-set-server=utf8mb4",
                ],
                stdout=output, stderr=output, user=owner, cwd=home,
            )  # fmt: skip
        try:
            wait_for_port(port, process, log)
            yield Server("127.0.0.1", port, "bough", "bough", "open sesame")
        finally:
            process.terminate()
            process.wait(30)


@contextmanager
def clickhouse_server() -> Iterator[Server]:
    """The ClickHouse engine of chdb behind an HTTP stand-in, with user bough."""
    if importlib.util.find_spec("chdb") is None or importlib.util.find_spec("clickhouse_connect") is None:
        pytest.skip("chdb or clickhouse-connect is not installed")
    port = free_port()
    with _directory(None) as home:
        log = home / "log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                [sys.executable, str(Path(__file__).with_name("clickhouse_shim.py")), str(port), str(home / "data")],
                stdout=output, stderr=output, cwd=home,
            )  # fmt: skip
        try:
            wait_for_port(port, process, log)
            yield Server("127.0.0.1", port, "bough", "default", "open sesame")
        finally:
            process.terminate()
            process.wait(30)
