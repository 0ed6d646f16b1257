"""Datasources of the settings and of Datus' agent file, who answers, and that no secret is ever shown."""

from __future__ import annotations

import errno
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from server_process import ProcessServer
from server_thread import ThreadServer

from proxy.session.remote import availability
from proxy.session.remote.state import RemoteState
from proxy.settings import SettingsError, load

CANARY = "canary-7f3a'quoted"  # a secret that must be seen nowhere
_AGENT = """
agent:
  services:
    datasources:
      local_duckdb:
        type: duckdb
        uri: duckdb:///{file}
        name: demo
      greenplum:
        type: greenplum
        host: {host}
        port: {port}
        username: gpadmin
        password: ${{BOUGH_TEST_SECRET}}
        database: test
        schema_name: public
        sslmode: disable
      starrocks:
        type: starrocks
        host: 127.0.0.1
        port: 1
        username: root
        password: ""
        database: test
        catalog: default_catalog
"""


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of something that takes connections and never answers."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen(50)
        yield int(listener.getsockname()[1])


@pytest.fixture
def agent(tmp_path: Path, silent: int) -> Path:
    with duckdb.connect(str(tmp_path / "demo.duckdb")) as made:
        made.execute("CREATE TABLE orders AS SELECT i AS id, i * 1.5 AS total FROM range(5) AS r(i)")
    file = tmp_path / "agent.yml"
    file.write_text(_AGENT.format(file=tmp_path / "demo.duckdb", host="127.0.0.1", port=silent))
    return file


@pytest.mark.slow
def test_an_agent_file_is_taken_as_it_is(
    start: Callable[..., ThreadServer], agent: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("BOUGH_TEST_SECRET", CANARY)
    with start(agent_file=agent).connect() as client:
        assert client.execute("SELECT sum(total) FROM local_duckdb.main.orders").fetchone() is not None
        shown = client.execute("SHOW DATASOURCES").fetchall()
        known = {row[0]: row for row in shown}
        assert set(known) == {"local", "local_duckdb", "greenplum", "starrocks"}
        assert known["local_duckdb"][1:3] == ("duckdb", True)
        assert known["greenplum"][2] is False and known["greenplum"][5] == "public"
        assert known["starrocks"][2] is False and known["starrocks"][6]
        capabilities = "SELECT dialect FROM bough.get_migration_capabilities(database => 'starrocks')"
        assert client.execute(capabilities).fetchall() == [("starrocks",)]
        with pytest.raises(psycopg.Error) as caught:
            client.execute("DROP DATASOURCE greenplum")
        assert caught.value.sqlstate == "55006"
        assert CANARY not in str(shown)


def test_a_secret_that_is_not_set_stops_the_start(
    agent: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("BOUGH_TEST_SECRET", raising=False)
    settings = load({"agent_file": str(agent), "file": str(tmp_path / "s.duckdb")}, {}, None)
    with pytest.raises(SettingsError) as caught:
        RemoteState(None, settings)
    assert "BOUGH_TEST_SECRET" in str(caught.value) + str(caught.value.hint)
    agent.write_text(
        agent.read_text().replace("{BOUGH_TEST_SECRET}", "{BOUGH_TEST_SECRET:?ask the operators}")
    )
    with pytest.raises(SettingsError, match="BOUGH_TEST_SECRET is not set: ask the operators"):
        RemoteState(None, settings)


@pytest.mark.slow
def test_all_datasources_are_asked_at_once(start: Callable[..., ThreadServer], silent: int) -> None:
    with start().connect() as client:
        for number in range(4):
            client.execute(
                f"CREATE DATASOURCE mute{number} TYPE postgres OPTIONS (host '127.0.0.1', port '{silent}', user 'u',"
                " database 'd', connect_timeout '2s')"
            )
        began = time.monotonic()
        rows = client.execute("SHOW DATASOURCES").fetchall()
        assert time.monotonic() - began < 6, "they were asked one after the other"
        assert [row[2] for row in rows] == [True, False, False, False, False]


def test_a_kept_datasource_that_cannot_be_used_is_named_at_start(tmp_path: Path) -> None:
    file = tmp_path / "s.duckdb"
    given = {"host": "127.0.0.1", "port": "5432", "user": "u", "database": "d"}
    RemoteState(file, load({}, {}, None)).create("kept", "postgres", given, if_not_exists=False)
    kept = file.with_name("s.duckdb.datasources")
    kept.write_text(kept.read_text().replace("5432", "five"))
    with pytest.raises(SettingsError, match="datasource kept: port is no number") as caught:
        RemoteState(file, load({}, {}, None))
    assert "Mend the file" in str(caught.value.hint)


def test_nobody_waits_for_what_does_not_answer(tmp_path: Path, silent: int) -> None:
    state = RemoteState(None, load({}, {}, None))
    given = {"host": "127.0.0.1", "port": str(silent), "user": "u", "database": "d", "connect_timeout": "5s"}
    state.create("mute", "postgres", given, if_not_exists=False)
    state.create("there", "sqlite", {"path": str(tmp_path / "x.sqlite")}, if_not_exists=False)
    (tmp_path / "x.sqlite").touch()
    items = sorted(state.datasources, key=lambda item: item.name)
    began = time.monotonic()
    assert availability.ask(state, items, threading.Event(), 0.5) == ["no answer within 0.5 s", None]
    assert time.monotonic() - began < 3


def test_show_datasources_is_cancelled(start: Callable[..., ThreadServer], silent: int) -> None:
    with start().connect() as client:
        client.execute(
            f"CREATE DATASOURCE mute TYPE postgres OPTIONS (host '127.0.0.1', port '{silent}', user 'u',"
            " database 'd', connect_timeout '5s')"
        )
        threading.Timer(0.3, client.cancel_safe).start()
        began = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            client.execute("SHOW DATASOURCES")
        assert time.monotonic() - began < 3


@pytest.mark.postgres
def test_a_secret_is_seen_nowhere(
    spawn: Callable[..., ProcessServer], tmp_path: Path, postgres: Any, silent: int
) -> None:
    """In no result, error, notice, view, log line or file but the one that keeps secrets."""
    secret = CANARY.replace("'", "''")
    seen: list[str] = []
    told: list[str] = []
    server = spawn(tmp_path / "c.duckdb")
    common = f"user 'nobody', password '{secret}', database 'd', connect_timeout '2s'"
    statements = [
        f"CREATE DATASOURCE pg TYPE postgres OPTIONS (host '127.0.0.1', port '{postgres.port}', {common})",
        f"CREATE DATASOURCE pg TYPE postgres OPTIONS (host '127.0.0.1', port '{postgres.port}', {common})",
        f"CREATE DATASOURCE gone TYPE postgres OPTIONS (host '127.0.0.1', port '1', {common})",
        f"CREATE DATASOURCE url TYPE postgres OPTIONS (uri 'postgres://u:{CANARY[:11]}@127.0.0.1:1/d')",
        f"CREATE DATASOURCE my TYPE mysql OPTIONS (host '127.0.0.1', port '1', {common})",
        f"CREATE DATASOURCE bad TYPE postgres OPTIONS (host 'h', pasword '{secret}')",
        f"CREATE DATASOURCE bad TYPE oracular OPTIONS (password '{secret}')",
        f"CREATE DATASOURCE bad TYPE postgres OPTIONS (password '{secret}'",
        f"CREATE DATASOURCE bad TYPE postgres OPTIONS (password '{secret}', port 'x')",
        f"CREATE DATASOURCE bad OPTIONS (password '{secret}') TYPE postgres",
        f"CREATE OR REPLACE DATASOURCE bad TYPE postgres OPTIONS (password '{secret}')",
        f"ALTER DATASOURCE pg OPTIONS (password '{secret}')",
        f"EXPLAIN CREATE DATASOURCE bad TYPE postgres OPTIONS (password '{secret}')",
        "CREATE DATASOURCE odd TYPE sqlalchemy OPTIONS (driver 'mysql+pymysql', host '127.0.0.1', port '1',"
        f" query 'passwd={CANARY[:11]}')",
        f"CREATE DATASOURCE bad TYPE mysql OPTIONS (uri 'mysql://user:{CANARY[:11]}')",
        "SHOW DATASOURCES",
        *(f"TEST DATASOURCE {name}" for name in ("pg", "gone", "url", "my", "odd")),
        "SELECT * FROM pg.public.t",
        "SELECT * FROM gone.public.t",
        "TRANSFER t FROM my TO local.public.t",
        "TRANSFER (SELECT 1 AS a) TO url.public.t",
        "SELECT * FROM bough.list_databases()",
        "SELECT * FROM bough.transfers",
        "SELECT * FROM bough.sessions",
        "SELECT * FROM bough.commits",
        "SELECT * FROM bough.settings",
        "SELECT * FROM pg_stat_activity",
        "SELECT * FROM pg_prepared_statements",
        "SHOW ALL",
    ]
    for prepare in (False, True):
        with server.connect() as client:
            client.add_notice_handler(lambda notice: told.append(str(notice.message_primary)))
            for statement in statements:
                try:
                    cursor = client.execute(statement, prepare=prepare)  # type: ignore[call-overload]
                    seen.append(str(cursor.fetchall() if cursor.description else cursor.statusmessage))
                except psycopg.Error as error:
                    diag = error.diag
                    seen += [
                        str(diag.message_primary),
                        str(diag.message_detail),
                        str(diag.message_hint),
                        str(diag.context),
                    ]
                with server.connect() as other:  # whatever became of it, nobody else reads it
                    seen.append(str(other.execute("SELECT statement FROM bough.sessions").fetchall()))
                    seen.append(str(other.execute("SELECT query FROM pg_stat_activity").fetchall()))
    _, logged = server.terminate()
    for text in (*seen, *told, logged):
        assert CANARY[:11] not in text, text
    assert "statement_failed" in logged
    kept = [file for file in tmp_path.iterdir() if CANARY[:11].encode() in file.read_bytes()]
    assert [file.name for file in kept] == ["c.duckdb.secrets"]


@pytest.mark.parametrize("full", ["secrets", "datasources"])
def test_a_datasource_that_finds_no_room_is_as_it_was(
    start: Callable[..., ThreadServer], tmp_path: Path, full: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = start(str(tmp_path / "s.duckdb"))
    (tmp_path / "x.sqlite").touch()
    made = f"TYPE sqlite OPTIONS (path '{tmp_path / 'x.sqlite'}')"
    replace = Path.replace

    def no_room(path: Path, to: Path) -> Path:
        if Path(to).suffix == f".{full}":
            raise OSError(errno.ENOSPC, "No space left on device", str(path))
        return replace(path, to)

    with server.connect() as connection:
        connection.execute(f"CREATE DATASOURCE kept {made}")
        with monkeypatch.context() as disk:
            disk.setattr(Path, "replace", no_room)
            with pytest.raises(psycopg.errors.DiskFull):
                connection.execute(f"CREATE DATASOURCE more {made}")
            if full == "datasources":
                with pytest.raises(psycopg.errors.DiskFull):
                    connection.execute("DROP DATASOURCE kept")
        names = [row[0] for row in connection.execute("SHOW DATASOURCES").fetchall()]
        assert names == ["local", "kept"]
        connection.execute(f"CREATE DATASOURCE more {made}")
    assert {item.name for item in RemoteState(tmp_path / "s.duckdb", load({}, {}, None)).datasources} == {
        "kept",
        "more",
    }
    assert not list(tmp_path.glob("*.new"))
