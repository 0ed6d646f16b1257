"""psql, createdb and dropdb of PostgreSQL's own client package."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.skipif(shutil.which("psql") is None, reason="psql is not installed")


def run(
    server: ThreadServer, program: str, *arguments: str, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {
        "PGHOST": "127.0.0.1", "PGPORT": str(server.port), "PGUSER": "alice", "PGCONNECT_TIMEOUT": "10",
    }  # fmt: skip
    return subprocess.run(
        [program, *arguments],
        env=environment,
        input=stdin,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


def psql(server: ThreadServer, *arguments: str, stdin: str = "") -> str:
    found = run(server, "psql", "-X", "-v", "ON_ERROR_STOP=1", "-At", *arguments, stdin=stdin)
    assert found.returncode == 0, found.stderr
    return found.stdout


def test_commands_and_files(server: ThreadServer, name: str, tmp_path: Path) -> None:
    script = tmp_path / "script.sql"
    script.write_text(
        f"CREATE TABLE {name} (id int PRIMARY KEY, v text); -- a comment; with a semicolon\n"
        f"INSERT INTO {name} VALUES (1, 'a;b'), (2, $$it's$$);\n"
        f"BEGIN; UPDATE {name} SET v = 'x' WHERE id = 1; ROLLBACK;\n"
        f"SELECT * FROM {name} ORDER BY id;\n"
    )
    assert psql(server, "-q", "-f", str(script), "main") == "1|a;b\n2|it's\n"
    assert psql(server, "-c", "SELECT 1", "-c", "SELECT 2", "main") == "1\n2\n"
    assert psql(server, "-q", "-1", "-c", f"DELETE FROM {name} WHERE id = 1", "main") == ""
    found = run(server, "psql", "-X", "-c", "SELECT nope", "main")
    assert found.returncode == 1
    assert 'column "nope" does not exist' in found.stderr
    found = run(server, "psql", "-X", "-c", "SELEC 1", "main")
    assert 'syntax error at or near "SELEC"' in found.stderr
    assert "LINE 1" in found.stderr


def test_what_backslash_d_shows(server: ThreadServer, name: str) -> None:
    psql(
        server,
        "-q",
        "main",
        stdin=f"""
        CREATE TABLE {name} (id serial PRIMARY KEY, v varchar(20) NOT NULL DEFAULT 'x', n numeric(10,2));
        CREATE INDEX {name}_i ON {name} (v);
        CREATE VIEW {name}_w AS SELECT id FROM {name};
        CREATE SCHEMA {name}_s;
    """,
    )
    shown = psql(server, "main", stdin=f"\\d {name}")
    assert "v|character varying(20)||not null|'x'::character varying" in shown
    assert "n|numeric(10,2)" in shown
    whole = run(server, "psql", "-X", "main", stdin=f"\\d {name}").stdout
    assert f'"{name}_pkey" PRIMARY KEY' in whole
    assert f'"{name}_i" btree (v)' in whole
    assert name in psql(server, "main", stdin="\\dt") and f"{name}_w" in psql(server, "main", stdin="\\dv")
    assert f"{name}_i" in psql(server, "main", stdin="\\di") and f"{name}_s" in psql(
        server, "main", stdin="\\dn"
    )
    everything = psql(
        server,
        "main",
        stdin="\\d\n\\d+\n\\dt+\n\\dn+\n\\l\n\\l+\n\\dv+\n\\di+\n\\ds\n\\df\n\\du\n\\dT\n\\conninfo\n",
    )
    assert "bough_" not in everything and "_rid" not in everything


def test_switching_by_reconnect(server: ThreadServer, branch: str) -> None:
    shown = psql(
        server,
        "main",
        stdin=f'\\c "{branch}"\nSELECT current_branch();\n\\c main\nSELECT current_branch();\n',
    )
    assert [line for line in shown.splitlines() if "connected" not in line] == [branch, "main"]
    assert branch in psql(server, "main", stdin="\\l")
    assert branch in psql(server, "-l", "main")


def test_createdb_and_dropdb(server: ThreadServer, name: str) -> None:
    psql(server, "-q", "-c", f"CREATE TABLE {name} AS SELECT 7 AS x", "main")
    made = run(server, "createdb", "-T", "main", f"{name}_b")
    assert made.returncode == 0, made.stderr
    assert psql(server, "-c", f"SELECT x FROM {name}", f"{name}_b") == "7\n"
    again = run(server, "createdb", f"{name}_b")
    assert again.returncode == 1 and "already exists" in again.stderr
    assert run(server, "dropdb", f"{name}_b").returncode == 0
    assert run(server, "dropdb", "--if-exists", f"{name}_b").returncode == 0
    assert run(server, "dropdb", f"{name}_b").returncode == 1


@pytest.mark.skipif(shutil.which("pg_dump") is None, reason="pg_dump is not installed")
def test_pg_dump_is_told_what_to_use_instead(server: ThreadServer) -> None:
    found = run(server, "pg_dump", "main")
    assert found.returncode != 0
    assert "pg_dump is not supported" in found.stderr
    assert "bough export" in found.stderr
