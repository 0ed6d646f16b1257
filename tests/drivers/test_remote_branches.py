"""Transfers from and into branches over the wire: what they carry, where they go on, what survives a kill."""

from __future__ import annotations

import re
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path
from typing import Any

import psycopg
import pytest
from lakes import sqlite_lake
from server_process import ProcessServer
from server_thread import ThreadServer

from proxy.session.local.endpoint import LocalConnector
from proxy.session.local.writer import LocalWriter

LAKE = (
    "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT NOT NULL DEFAULT 'nobody')",
    "INSERT INTO parents VALUES (1, 'one'), (2, 'two')",
    "CREATE TABLE events (id INTEGER PRIMARY KEY, what TEXT)",
    "INSERT INTO events VALUES (1, 'a'), (2, 'b')",
)


@pytest.fixture
def client(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        yield connection


@pytest.fixture
def lake(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> Iterator[str]:
    """A writable SQLite datasource with parents and children, and a table of events that grows."""
    with sqlite_lake(client, tmp_path, f"l_{name}", LAKE) as source:
        yield source


def _all(client: psycopg.Connection[Any], sql: str) -> list[Any]:
    return client.execute(sql).fetchall()


def _there(client: psycopg.Connection[Any], lake: str, sql: str) -> None:
    client.execute(f"EXECUTE ON {lake} AS $$ {sql} $$")


def _refused(client: psycopg.Connection[Any], sql: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(sql)
    return caught.value


def test_columns_that_do_not_move_are_left_alone(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    table = f"w_{name}"[:50]
    client.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, what text, n integer DEFAULT 7, x text)")
    client.execute(f"INSERT INTO {table} VALUES (1, 'old', 5, 'keep')")
    client.execute(f"TRANSFER events FROM {lake} TO local.public.{table} MODE upsert KEY (id)")
    assert _all(client, f"SELECT * FROM {table} ORDER BY id") == [(1, "a", 5, "keep"), (2, "b", 7, None)]
    client.execute(f"TRUNCATE {table}")
    client.execute(f"TRANSFER events FROM {lake} TO local.public.{table} MODE append")
    assert _all(client, f"SELECT * FROM {table} ORDER BY id") == [(1, "a", 7, None), (2, "b", 7, None)]


def test_a_table_that_refers_to_itself_moves_into_a_branch(
    client: psycopg.Connection[Any], lake: str, name: str, tmp_path: Path
) -> None:
    with sqlite3.connect(tmp_path / "lake.sqlite") as made:
        made.execute("CREATE TABLE tree (id INTEGER PRIMARY KEY, up INTEGER REFERENCES tree (id))")
        made.execute("INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2)")
    made.close()
    schema = f"s_{name}"[:50]
    client.execute(f"TRANSFER SCHEMA main FROM {lake} TO local.{schema}")
    client.execute(f"SET search_path TO {schema}")
    assert _all(client, "SELECT * FROM tree ORDER BY id") == [(1, None), (2, 1), (3, 2)]
    assert _refused(client, "INSERT INTO tree VALUES (4, 77)").sqlstate == "23503"


@pytest.fixture
def meanwhile(
    server: ThreadServer, monkeypatch: pytest.MonkeyPatch
) -> Callable[[type[LocalConnector] | type[LocalWriter], str, str], None]:
    """Another session's statement before something of a transfer's target is called for the first time."""

    def before(kind: type[LocalConnector] | type[LocalWriter], called: str, sql: str) -> None:
        call = getattr(kind, called)
        statements = [sql]

        def then(self: Any, *given: Any, **more: Any) -> Any:
            if statements:
                with server.connect() as other:
                    other.execute(statements.pop())
            return call(self, *given, **more)

        monkeypatch.setattr(kind, called, then)

    return before


@pytest.mark.parametrize(
    ("kind", "called"),
    [
        (LocalConnector, "writer"),
        (LocalConnector, "target_notes"),
        (LocalWriter, "write"),
        (LocalWriter, "publish"),
    ],
)
def test_a_branch_may_be_renamed_while_a_transfer_into_it_runs(
    client: psycopg.Connection[Any],
    lake: str,
    name: str,
    kind: type[LocalConnector] | type[LocalWriter],
    called: str,
    meanwhile: Callable[[type[LocalConnector] | type[LocalWriter], str, str], None],
) -> None:
    branch, table = f"b{called[0]}_{name}"[:50], f"w_{name}"[:50]
    client.execute(f"BRANCH CREATE {branch}")
    meanwhile(kind, called, f"BRANCH RENAME {branch} TO {branch}_new")
    client.execute(f"TRANSFER events FROM {lake} TO local.public.{table} ON BRANCH {branch}")
    assert _all(client, f"SELECT * FROM {branch}_new.public.{table} ORDER BY id") == [(1, "a"), (2, "b")]


def test_a_transfer_is_resumed_in_a_branch_that_has_another_name_now(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    branch, table = f"b_{name}"[:50], f"w_{name}"[:50]
    client.execute(f"BRANCH CREATE {branch}")
    _refused(client, f"TRANSFER later FROM {lake} TO local.public.{table} ON BRANCH {branch}")
    found = _all(client, f"SELECT max(id) FROM bough.transfers WHERE branch = '{branch}'")
    client.execute(f"BRANCH RENAME {branch} TO {branch}_new")
    client.execute(f"BRANCH CREATE {branch}")
    _there(client, lake, "CREATE TABLE later (id INTEGER)")
    _there(client, lake, "INSERT INTO later VALUES (7)")
    client.execute(f"RESUME TRANSFER {found[0][0]}")
    assert _all(client, f"SELECT * FROM {branch}_new.public.{table}") == [(7,)]
    assert _refused(client, f"SELECT * FROM {branch}.public.{table}").sqlstate == "42P01"


def test_a_transfer_into_a_branch_that_is_protected_meanwhile_has_failed(
    client: psycopg.Connection[Any],
    lake: str,
    name: str,
    meanwhile: Callable[[type[LocalConnector] | type[LocalWriter], str, str], None],
) -> None:
    branch, table = f"b_{name}"[:50], f"w_{name}"[:50]
    client.execute(f"BRANCH CREATE {branch}")
    meanwhile(LocalWriter, "publish", f"BRANCH ALTER {branch} SET (protected true)")
    error = _refused(client, f"TRANSFER events FROM {lake} TO local.public.{table} ON BRANCH {branch}")
    assert error.sqlstate == "25006"
    assert _all(client, f"SELECT state FROM bough.transfers WHERE branch = '{branch}'") == [("failed",)]
    client.execute(f"BRANCH ALTER {branch} SET (protected false)")


@pytest.mark.parametrize(
    ("declared", "value"),
    [
        ("json", "'{bad'"),
        ("uuid", "'no-uuid'"),
        ("text", "CAST(x'ff41' AS TEXT)"),
        ("decimal(9,2)", "'abc'"),
    ],
)
def test_what_a_branch_cannot_hold_is_named(
    client: psycopg.Connection[Any],
    lake: str,
    name: str,
    tmp_path: Path,
    declared: str,
    value: str,
) -> None:
    with sqlite3.connect(tmp_path / "lake.sqlite") as made:
        made.execute(f"CREATE TABLE odd (id INTEGER, t {declared})")
        made.execute(f"INSERT INTO odd VALUES (1, {value})")
    made.close()
    for command in ("EXPLAIN TRANSFER", "TRANSFER"):
        error = _refused(client, f"{command} odd FROM {lake} TO local.public.o_{name}")
        assert (error.sqlstate, bool(error.diag.message_hint)) == ("HV004", True)


def test_a_branch_keeps_the_lengths_of_texts(client: psycopg.Connection[Any], name: str) -> None:
    first, second, third = (f"k{number}_{name}" for number in (1, 2, 3))
    client.execute(f"CREATE TABLE {first} (id integer, v varchar(5), c char(3), w text)")
    client.execute(f"INSERT INTO {first} VALUES (1, 'five5', 'ab', 'any length')")
    client.execute(f"TRANSFER local.public.{first} TO local.public.{second}")
    for table in (first, second):
        ddl = _all(client, f"SHOW CREATE TABLE {table} FOR postgres")[0][1]
        assert "v varchar(5),\n  c varchar(3),\n  w text\n" in ddl
        assert _refused(client, f"INSERT INTO {table} (v) VALUES ('longer')").sqlstate == "22001"
        assert _all(client, f"SELECT * FROM {table}") == [(1, "five5", "ab", "any length")]
    client.execute(f"CREATE TABLE {third} (id integer, v varchar(4), c varchar(3), w text)")
    for command in ("EXPLAIN TRANSFER", "TRANSFER"):
        error = _refused(client, f"{command} local.public.{first} TO local.public.{third} MODE append")
        assert error.sqlstate == "HV004"
        assert "longer than 4 characters" in (error.diag.message_detail or "")
    client.execute(
        f"TRANSFER local.public.{first} TO local.public.{third} MODE append WITH (allow_lossy 'v')"
    )
    assert _all(client, f"SELECT v FROM {third}") == [("five",)]


def test_a_column_of_nulls_is_text(client: psycopg.Connection[Any], name: str) -> None:
    client.execute(f"TRANSFER (SELECT NULL AS n, 1 AS id) TO local.public.n_{name}")
    found = client.execute(f"SELECT n, id FROM n_{name}")
    assert found.fetchall() == [(None, 1)]
    assert [column.type_code for column in found.description or ()] == [25, 23]


def test_a_table_is_compared_with_itself_on_another_branch(
    client: psycopg.Connection[Any], name: str
) -> None:
    branch, table = f"b_{name}"[:50], f"r_{name}"[:50]
    client.execute(f"CREATE TABLE {table} (id integer PRIMARY KEY, what text)")
    client.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, 'b')")
    client.execute(f'BRANCH CREATE "{branch}"')

    def verdict(left: str, right: str) -> str:
        rows = client.execute(f"RECONCILE {left} WITH {right} KEY (id)").fetchall()
        return str(next(value for value in rows[-1] if value in ("pass", "fail", "inconclusive")))

    there = f'"{branch}".public.{table}'
    assert verdict(table, there) == "pass"
    client.execute(f"UPDATE {table} SET what = 'c' WHERE id = 2")
    assert verdict(table, there) == verdict(there, table) == "fail"


# -- incremental ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["", "KEY (id)"])
def test_an_incremental_transfer_goes_on_where_the_rows_are(
    client: psycopg.Connection[Any], lake: str, name: str, branch: str, key: str
) -> None:
    table = f"t_{name}"[:50]
    copy = f"TRANSFER events FROM {lake} TO local.public.{table} MODE incremental {key} CURSOR id"
    again = 1 if key else 0  # with a key the row at the watermark moves again
    assert client.execute(copy).statusmessage == "TRANSFER 2"
    _there(client, lake, "INSERT INTO events VALUES (3, 'c')")
    assert client.execute(copy).statusmessage == f"TRANSFER {1 + again}"
    assert client.execute(copy).statusmessage == f"TRANSFER {again}"
    # A branch made now has the rows, and goes on from them; what it loads does not move main's place.
    fork = f"{branch} fork"
    client.execute(f'BRANCH CREATE "{fork}"')
    _there(client, lake, "INSERT INTO events VALUES (4, 'd')")
    assert (
        client.execute(
            f"{copy.replace(table, table + ' ON BRANCH ' + chr(34) + fork + chr(34))}"
        ).statusmessage
        == f"TRANSFER {1 + again}"
    )
    assert _all(client, f"SELECT max(id) FROM {table}") == [(3,)]
    client.execute(f'BRANCH MERGE "{fork}" INTO main WITH (discard true)')
    assert _all(client, f"SELECT count(*), max(id) FROM {table}") == [(4, 4)]
    assert client.execute(copy).statusmessage == f"TRANSFER {again}"
    # Rows that are thrown away come back.
    client.execute(f"DELETE FROM {table} WHERE id > 2")
    assert client.execute(copy).statusmessage == f"TRANSFER {2 + again}"
    assert _all(client, f"SELECT id FROM {table} ORDER BY id") == [(1,), (2,), (3,), (4,)]
    client.execute(f"DROP TABLE {table}")
    assert client.execute(copy).statusmessage == "TRANSFER 4"


def test_a_cursor_that_is_cast_is_refused(client: psycopg.Connection[Any], lake: str, name: str) -> None:
    copy = f"TRANSFER events FROM {lake} TO local.public.c_{name} MODE incremental CURSOR id WITH (cast 'id AS text')"
    client.execute(copy.replace(" WITH (cast 'id AS text')", ""))
    assert _refused(client, copy).sqlstate in ("0A000", "HV004")


# -- what a new table gets ------------------------------------------------------------------------------------------


@pytest.mark.postgres
def test_keys_defaults_and_comments_come_along(client: psycopg.Connection[Any], postgres: Any) -> None:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as there:
        there.execute("CREATE SCHEMA store")
        there.execute("CREATE TABLE store.customers (id int PRIMARY KEY, mail text UNIQUE NOT NULL)")
        there.execute(
            "CREATE TABLE store.orders (id int PRIMARY KEY, customer int NOT NULL REFERENCES store.customers,"
            " state text NOT NULL DEFAULT 'new', amount numeric(8,2) DEFAULT 0)"
        )
        there.execute("COMMENT ON TABLE store.orders IS 'What was ordered; it''s all here'")
        there.execute("COMMENT ON COLUMN store.orders.state IS 'new or paid'")
        there.execute("INSERT INTO store.customers VALUES (1, 'a@b'), (2, 'c@d')")
        there.execute("INSERT INTO store.orders VALUES (1, 1, 'paid', 5), (2, 2, 'new', 6)")
        client.execute(
            f"CREATE DATASOURCE shop_pg TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
            f" user '{postgres.user}', database '{postgres.database}')"
        )
        client.execute("CREATE SCHEMA store")
        client.execute("TRANSFER SCHEMA store FROM shop_pg TO local.store")
        client.execute("INSERT INTO store.orders (id, customer) VALUES (3, 1)")
        assert _all(client, "SELECT state, amount::text FROM store.orders WHERE id = 3") == [("new", "0.00")]
        for bad, code in (
            ("INSERT INTO store.orders VALUES (1, 1, 'x', 1)", "23505"),
            ("INSERT INTO store.orders VALUES (9, 9, 'x', 1)", "23503"),
            ("INSERT INTO store.orders VALUES (9, 1, NULL, 1)", "23502"),
            ("INSERT INTO store.customers VALUES (9, 'a@b')", "23505"),
        ):
            assert _refused(client, bad).sqlstate == code
        assert _all(
            client,
            "SELECT obj_description('store.orders'::regclass), col_description('store.orders'::regclass, 3)",
        ) == [("What was ordered; it's all here", "new or paid")]
        # A table that others refer to is replaced by key, and only where no reference breaks.
        there.execute(
            "UPDATE store.customers SET mail = 'new@b' WHERE id = 1; INSERT INTO store.customers VALUES (3, 'e@f')"
        )
        assert (
            client.execute("TRANSFER store.customers FROM shop_pg TO local.store.customers").statusmessage
            == "TRANSFER 3"
        )
        assert _all(client, "SELECT mail FROM store.customers ORDER BY id") == [
            ("new@b",),
            ("c@d",),
            ("e@f",),
        ]
        there.execute("DELETE FROM store.orders WHERE customer = 2; DELETE FROM store.customers WHERE id = 2")
        assert (
            _refused(client, "TRANSFER store.customers FROM shop_pg TO local.store.customers").sqlstate
            == "23503"
        )
        assert _all(client, "SELECT count(*) FROM store.customers") == [(3,)]


def test_recreate_takes_the_source_s_shape(client: psycopg.Connection[Any], lake: str, name: str) -> None:
    table = f"r_{name}"[:50]
    client.execute(f"CREATE TABLE {table} (id bigint, what text, more int)")
    client.execute(f"INSERT INTO {table} VALUES (9, 'old', 1)")
    client.execute(f"TRANSFER events FROM {lake} TO local.public.{table} WITH (recreate true, verify 'L4')")
    columns = (
        "SELECT column_name FROM information_schema.columns WHERE table_name = '{}' ORDER BY ordinal_position"
    )
    assert _all(client, columns.format(table)) == [("id",), ("what",)]
    assert _all(client, f"SELECT * FROM {table} ORDER BY id") == [(1, "a"), (2, "b")]
    assert _refused(client, f"INSERT INTO {table} VALUES (1, 'twice')").sqlstate == "23505"


@pytest.mark.parametrize("level", ["L3", "L4"])
def test_every_row_is_compared_before_it_is_published(
    client: psycopg.Connection[Any], lake: str, name: str, level: str
) -> None:
    result = client.execute(f"TRANSFER events FROM {lake} TO local.public.v_{name} WITH (verify '{level}')")
    checks = {check["check"] for check in result.fetchone()[-1]}  # type: ignore[index]
    assert checks & {"fingerprint", "rows_changed"}, checks


def test_a_protected_branch_is_no_target(
    client: psycopg.Connection[Any], lake: str, branch: str, name: str
) -> None:
    client.execute(f'BRANCH ALTER "{branch}" SET (protected true)')
    error = _refused(client, f'TRANSFER events FROM {lake} TO local.public.p_{name} ON BRANCH "{branch}"')
    client.execute(f'BRANCH ALTER "{branch}" SET (protected false)')
    assert error.sqlstate == "25006"
    assert branch in str(error)


# -- progress and cancel ----------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_progress_is_told_while_rows_move(server: ThreadServer, lake: str) -> None:
    told: list[tuple[float, str]] = []
    with server.connect() as client:
        client.add_notice_handler(
            lambda notice: told.append((time.monotonic(), notice.message_primary or ""))
        )
        client.execute(
            f"TRANSFER (SELECT i AS id FROM generate_series(1, 1500000) AS g(i)) TO {lake}.main.many"
        )
        ended = time.monotonic()
    assert len(told) >= 2
    assert told[0][0] < ended - 0.2, "the first notice came with the result"
    assert all(later - earlier > 0.8 for (earlier, _), (later, _) in pairwise(told))
    assert re.fullmatch(r"transfer \d+: move, 0 of 1,500,000 rows \(0%\)", told[0][1])
    assert re.fullmatch(r"transfer \d+: \w+, [\d,]+ of 1,500,000 rows \(\d+%\), [\d,]+ rows/s", told[1][1])


@pytest.mark.postgres
def test_a_transfer_is_cancelled_while_its_source_is_profiled(
    server: ThreadServer, client: psycopg.Connection[Any], postgres: Any, name: str
) -> None:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as there:
        there.execute(
            "CREATE VIEW profiled AS SELECT i, pg_sleep(0.05)::text AS s FROM generate_series(1, 100000) i"
        )
    client.execute(
        f"CREATE DATASOURCE slow_pg TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
        f" user '{postgres.user}', database '{postgres.database}')"
    )

    def run() -> psycopg.Error:
        with server.connect() as other:
            return _refused(other, f"TRANSFER profiled FROM slow_pg TO local.public.s_{name}")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        found: list[Any] = []
        while not found and not running.done():
            found = _all(
                client, "SELECT id FROM bough.transfers WHERE state = 'running' AND source LIKE '%profiled%'"
            )
        began = time.monotonic()
        client.execute(f"CANCEL TRANSFER {found[0][0]}")
        assert running.result(60).sqlstate == "57014"
        assert time.monotonic() - began < 5
    assert _all(client, f"SELECT state FROM bough.transfers WHERE id = {found[0][0]}") == [("cancelled",)]


# -- kills ------------------------------------------------------------------------------------------------------------


def _until(client: psycopg.Connection[Any], sql: str, running: threading.Thread) -> None:
    while running.is_alive() and not _all(client, sql):
        time.sleep(0.01)
    assert running.is_alive(), "the transfer ended before it was killed"


def _in_background(server: ProcessServer, sql: str) -> threading.Thread:
    def run() -> None:
        with pytest.raises(psycopg.OperationalError), server.connect() as other:
            other.execute(sql)

    thread = threading.Thread(target=run)
    thread.start()
    return thread


@pytest.mark.slow
@pytest.mark.postgres
@pytest.mark.parametrize("way", ["RESUME", "rerun", "CANCEL"])
def test_a_kill_leaves_the_old_rows_and_a_resume_reads_the_same_snapshot(
    spawn: Callable[..., ProcessServer], tmp_path: Path, postgres: Any, way: str
) -> None:
    rows = 400_000
    target = f"killed_{way.lower()}"
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as there:
        there.execute(f"CREATE TABLE {target} (id bigint PRIMARY KEY, v text)")
        there.execute(f"INSERT INTO {target} VALUES (-1, 'old'), (-2, 'old')")

        def held() -> list[Any]:
            return there.execute(
                f"SELECT count(*), count(*) FILTER (WHERE v = 'before') FROM {target}"
            ).fetchall()

        server = spawn(tmp_path / "k.duckdb")
        with server.connect() as client:
            client.execute(
                f"CREATE DATASOURCE pg TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
                f" user '{postgres.user}', database '{postgres.database}', role 'read_write')"
            )
            client.execute("CREATE TABLE t (id bigint PRIMARY KEY, v text)")
            client.execute(f"INSERT INTO t SELECT i, 'before' FROM generate_series(1, {rows}) AS g(i)")
            copy = f"TRANSFER t TO pg.public.{target} WITH (ranges '10000')"
            running = _in_background(server, copy)
            _until(client, "SELECT 1 FROM bough.transfers WHERE rows_done > 50000", running)
            server.process.kill()
        running.join(30)
        assert held() == [(2, 0)]

        server = spawn(tmp_path / "k.duckdb")
        with server.connect() as client:
            number, state, done = _all(client, "SELECT id, state, rows_done FROM bough.transfers")[0]
            assert state == "interrupted"
            assert 0 < done < rows
            assert [name for (name,) in _all(client, "SELECT name FROM bough.branches")] == ["main"]
            assert _all(client, "SELECT datname FROM pg_database WHERE datname LIKE '%pin%'") == []
            client.execute("UPDATE t SET v = 'after'")
            client.execute("DELETE FROM t WHERE id % 2 = 0")
            if way == "RESUME":
                result = client.execute(f"RESUME TRANSFER {number}")
                assert result.statusmessage == f"TRANSFER {rows}"
                assert held() == [(rows, rows)]
            elif way == "rerun":
                assert client.execute(copy).statusmessage == f"TRANSFER {rows // 2}"
                assert held() == [(rows // 2, 0)]
            else:
                client.execute(f"CANCEL TRANSFER {number}")
                assert held() == [(2, 0)]
                assert _refused(client, f"CANCEL TRANSFER {number}").sqlstate == "55000"
            left = "SELECT count(*) FROM pg_class WHERE relname LIKE %s"
            assert there.execute(left, (f"{target}\\_\\_%",)).fetchone() == (0,)
            if way != "rerun":
                client.execute("BRANCH GC")
                assert "_bough_pin" not in str(_all(client, "BRANCH GC"))


@pytest.mark.postgres
def test_a_kill_while_rows_come_in_leaves_the_old_rows(
    spawn: Callable[..., ProcessServer], tmp_path: Path, postgres: Any
) -> None:
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as there:
        there.execute(
            "CREATE TABLE incoming AS SELECT i::bigint AS id, md5(i::text) AS v FROM generate_series(1, 600000) i"
        )
    server = spawn(tmp_path / "i.duckdb")
    with server.connect() as client:
        client.execute(
            f"CREATE DATASOURCE pg TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
            f" user '{postgres.user}', database '{postgres.database}')"
        )
        client.execute("CREATE TABLE incoming (id bigint, v text)")
        client.execute("INSERT INTO incoming VALUES (-1, 'old')")
        running = _in_background(server, "TRANSFER incoming FROM pg TO local.public.incoming")
        _until(client, "SELECT 1 FROM bough.transfers WHERE state = 'running' AND rows_total > 0", running)
        server.process.kill()
    running.join(30)
    server = spawn(tmp_path / "i.duckdb")
    with server.connect() as client:
        assert _all(client, "SELECT * FROM incoming") == [(-1, "old")]
        number, state = _all(client, "SELECT id, state FROM bough.transfers")[0]
        assert state == "interrupted"
        assert client.execute(f"RESUME TRANSFER {number}").statusmessage == "TRANSFER 600000"
        assert _all(client, "SELECT count(*), min(id) FROM incoming") == [(600000, 1)]


@pytest.mark.parametrize("published", [True, False])
def test_a_restart_knows_whether_a_branch_got_its_rows(
    start: Callable[..., ThreadServer], tmp_path: Path, published: bool
) -> None:
    """As if the process had died after, or before, the COMMIT of the rows, and before the journal said ``done``."""
    file = tmp_path / "m.duckdb"
    with sqlite3.connect(tmp_path / "s.sqlite") as made:
        made.execute("CREATE TABLE s (id INTEGER PRIMARY KEY)")
        made.execute("INSERT INTO s VALUES (1), (2)")
    made.close()
    first = ThreadServer(str(file))
    staging: list[str] = []
    finish = first.server.service.remote.journal.finish

    def noted(transfer: int, **values: Any) -> None:
        entry = first.server.service.remote.journal.entry(transfer)
        assert entry is not None and entry.staging is not None
        staging.append(entry.staging[-1])
        finish(transfer, **values)

    first.server.service.remote.journal.finish = noted  # type: ignore[method-assign]
    with first.connect() as client:
        client.execute(f"CREATE DATASOURCE s TYPE sqlite OPTIONS (path '{tmp_path / 's.sqlite'}')")
        client.execute("TRANSFER s FROM s TO local.public.t MODE append")
    first.stop()
    with sqlite3.connect(tmp_path / "m.duckdb.transfers") as journal:
        name = staging[0] if published else "t__stg_99xabcdef"
        journal.execute("UPDATE transfers SET state = 'publishing', staging = ?", (f'["{name}"]',))
    journal.close()
    with start(str(file)).connect() as client:
        assert _all(client, "SELECT state FROM bough.transfers") == [
            ("done" if published else "interrupted",)
        ]
        if not published:
            client.execute("DELETE FROM t")
            assert client.execute("RESUME TRANSFER 1").statusmessage == "TRANSFER 2"
        assert _all(client, "SELECT count(*) FROM t") == [(2,)]


@pytest.mark.parametrize("gone", ["datasource", "branch"])
def test_what_broke_off_is_cancelled_though_its_datasource_or_branch_is_gone(
    start: Callable[..., ThreadServer], tmp_path: Path, gone: str
) -> None:
    server = start(str(tmp_path / "m.duckdb"))
    remote = server.server.service.remote
    with server.connect() as client:
        notices: list[str | None] = []
        client.add_notice_handler(lambda notice: notices.append(notice.message_primary))
        client.execute("CREATE TABLE t AS SELECT 1 AS id")
        client.execute("BRANCH CREATE b")
        client.execute(
            f"CREATE DATASOURCE o TYPE sqlite OPTIONS (path '{tmp_path / 'o.sqlite'}', role 'read_write')"
        )
        client.execute("TRANSFER t TO " + ("o.main.t" if gone == "datasource" else "local.u ON BRANCH b"))
        staging = ("main", "t__stg_1xabcdef") if gone == "datasource" else None
        remote.journal.update(1, state="interrupted", error="the server ended while it ran", staging=staging)
        client.execute("DROP DATASOURCE o" if gone == "datasource" else "BRANCH DISCARD b WITH (force true)")
        assert _refused(client, "RESUME TRANSFER 1").sqlstate == "42704"
        notices.clear()
        client.execute("CANCEL TRANSFER 1")
        left = 'datasource "o" does not exist: staging table "main.t__stg_1xabcdef" was not dropped'
        assert notices == ([left] if gone == "datasource" else [])
        assert _all(client, "SELECT state FROM bough.transfers") == [("cancelled",)]
        assert _refused(client, "CANCEL TRANSFER 1").sqlstate == "55000"
