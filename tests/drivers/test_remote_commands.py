"""Datasources and transfers by SQL: real SQLite files, DuckDB files and a PostgreSQL server, over the wire."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import psycopg
import pytest
from lakes import sqlite_lake
from psycopg.rows import dict_row
from server_thread import ThreadServer

from branching.errors import BoughError
from proxy.session.remote.state import RemoteState
from proxy.settings import SettingsError, load

pytestmark = pytest.mark.sampled

_SECRET = "a very secret word"


@pytest.fixture
def lake(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> Iterator[str]:
    """A writable SQLite datasource with a table ``users``."""
    with sqlite_lake(client, tmp_path, f"s_{name}", kept=False) as source:
        yield source


@pytest.fixture
def flights(client: psycopg.Connection[Any], name: str) -> str:
    """A table of the branch, with keys and types that are easy to get wrong."""
    table = f"t_{name}"[:50]
    client.execute(
        f"CREATE TABLE {table} (id bigint PRIMARY KEY, carrier text NOT NULL, price numeric(12,2),"
        " at timestamptz, late boolean)"
    )
    client.execute(
        f"INSERT INTO {table} SELECT i, 'c' || (i % 7), i * 1.25, timestamptz '2024-03-01 00:00:00+00' +"
        f" i * interval '1 minute', i % 2 = 0 FROM generate_series(1, 500) AS g(i)"
    )
    return table


def _rows(client: psycopg.Connection[Any], sql: str) -> list[dict[str, Any]]:
    return client.execute(sql).fetchall()


def _refused(client: psycopg.Connection[Any], sql: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        client.execute(sql)
    return caught.value


# -- datasources --------------------------------------------------------------------------------------------------


def test_a_datasource_is_made_shown_tested_and_dropped(client: psycopg.Connection[Any], lake: str) -> None:
    shown = {row["name"]: row for row in _rows(client, "SHOW DATASOURCES")}
    assert shown["local"]["database"] == "main"
    assert shown[lake]["type"] == "sqlite"
    assert shown[lake]["available"] is True
    tested = _rows(client, f"TEST DATASOURCE {lake}")
    assert tested[0]["version"].startswith("3.")
    client.execute(f"DROP DATASOURCE {lake}")
    assert _refused(client, f"TEST DATASOURCE {lake}").sqlstate == "42704"


def test_a_name_is_taken_once(client: psycopg.Connection[Any], lake: str) -> None:
    again = "TYPE sqlite OPTIONS (path '/tmp/x.sqlite')"
    assert _refused(client, f"CREATE DATASOURCE {lake} {again}").sqlstate == "42710"
    client.execute(f"CREATE DATASOURCE IF NOT EXISTS {lake} {again}")


def test_a_password_is_never_shown_and_survives_a_restart(
    start: Callable[..., ThreadServer], tmp_path: Path
) -> None:
    file = tmp_path / "kept.duckdb"
    running = ThreadServer(str(file))
    with running.connect() as connection:
        connection.execute(
            "CREATE DATASOURCE pg TYPE postgres OPTIONS (host '127.0.0.1', port '1', user 'u',"
            f" password '{_SECRET}', database 'd', connect_timeout '1s')"
        )
        statements = connection.execute("SELECT statement FROM bough.sessions").fetchall()
        shown = connection.execute("SHOW DATASOURCES").fetchall()
        error = _refused(connection, "TEST DATASOURCE pg")
    assert _SECRET not in str(statements) + str(shown) + str(error) + str(error.diag.message_detail)
    assert error.sqlstate == "HV00N"
    running.stop()
    secrets = file.with_name("kept.duckdb.secrets")
    assert secrets.stat().st_mode & 0o777 == 0o600
    assert _SECRET not in file.with_name("kept.duckdb.datasources").read_text()
    assert _SECRET in secrets.read_text()
    with start(str(file)).connect() as connection:
        names = [row[0] for row in connection.execute("SHOW DATASOURCES").fetchall()]
    assert names == ["local", "pg"]


def test_a_datasource_is_never_the_servers_own_file(
    start: Callable[..., ThreadServer], tmp_path: Path
) -> None:
    file = tmp_path / "own.duckdb"
    with start(str(file)).connect() as connection:
        (tmp_path / "soft.duckdb").symlink_to(file)
        (tmp_path / "hard.duckdb").hardlink_to(file)
        for path in (
            file,
            tmp_path / "soft.duckdb",
            tmp_path / "hard.duckdb",
            tmp_path / "own.duckdb.transfers",
            f"file:{file}",
            f"duckdb:{file}",
        ):
            made = f"CREATE DATASOURCE thief TYPE duckdb OPTIONS (path '{path}')"
            assert _refused(connection, made).sqlstate == "42501", path
        pattern = f"path_pattern '{tmp_path}/*.duckdb', database 'own'"
        assert (
            _refused(connection, f"CREATE DATASOURCE p TYPE duckdb OPTIONS ({pattern})").sqlstate == "42501"
        )
        outside = "path ':memory:', enable_external_access 'true'"
        assert (
            _refused(connection, f"CREATE DATASOURCE o TYPE duckdb OPTIONS ({outside})").sqlstate == "42501"
        )
        inside = f"path '{tmp_path}/clickhouse', enable_external_access 'true'"
        assert (
            _refused(connection, f"CREATE DATASOURCE o TYPE clickhouse OPTIONS ({inside})").sqlstate
            == "42501"
        )
        for uri in (
            f"sqlite:///{file}",
            f"sqlite:///file:{file}?uri=true",
            "shillelagh://",
            f"duckdb:///{file}",
        ):
            made = f"CREATE DATASOURCE thief TYPE sqlalchemy OPTIONS (uri '{uri}')"
            assert _refused(connection, made).sqlstate == "42501", uri
        for option in ("password", "host"):
            told = f"user 'u', {option} '${{file:{tmp_path}/own.duckdb.secrets}}'"
            made = f"CREATE DATASOURCE thief TYPE postgres OPTIONS ({told})"
            assert _refused(connection, made).sqlstate == "42501"
        # A file that only later becomes the server's own is refused when it is to be opened.
        later = tmp_path / "later.duckdb"
        connection.execute(f"CREATE DATASOURCE later TYPE duckdb OPTIONS (path '{later}', role 'read_write')")
        later.hardlink_to(file)
        assert _refused(connection, "EXECUTE ON later AS $$ CREATE TABLE t (a int) $$").sqlstate == "42501"
        shown = {row[0]: row for row in connection.execute("SHOW DATASOURCES").fetchall()}
        assert shown["later"][2] is False and "belongs to this server" in shown["later"][6]


def test_a_datasource_stays_in_the_granted_directories(tmp_path: Path) -> None:
    granted = tmp_path / "granted"
    granted.mkdir()
    config = tmp_path / "bough.toml"
    config.write_text(f'file_directories = ["{granted}"]\n')
    state = RemoteState(None, load({}, {}, config))
    assert state.create("inside", "sqlite", {"path": str(granted / "a.sqlite")}, if_not_exists=False)
    for path in (tmp_path / "a.sqlite", granted / ".." / "a.sqlite"):
        with pytest.raises(BoughError) as caught:
            state.create("outside", "sqlite", {"path": str(path)}, if_not_exists=False)
        assert caught.value.sqlstate == "42501"
    (tmp_path / "told").write_text("in confidence")
    (granted / "word").write_text("granted word")
    for option in ("password", "host", "database"):
        options = {option: f"${{file:{tmp_path / 'told'}}}", "user": "u"}
        with pytest.raises(BoughError) as caught:
            state.create("reader", "postgres", options, if_not_exists=False)
        assert caught.value.sqlstate == "42501" and "confidence" not in repr(caught.value.__dict__)
    options = {"host": "h", "password": f"${{file:{granted / 'word'}}}"}
    assert state.create("reader", "postgres", options, if_not_exists=False)


@pytest.mark.parametrize(
    ("type_", "options"),
    [
        ("postgres", "host '{}', port '1', user 'u'"),
        ("postgres", "host '127.0.0.1', port '1', user 'u', database '{}'"),
        ("postgres", "host '127.0.0.1', port '{}'"),
        ("mysql", "host '{}', port '1', user 'u'"),
        ("sqlite", "path '/nowhere/{}'"),
        ("duckdb", "path '/nowhere/{}'"),
        ("duckdb", "path ':memory:', memory_limit '{}'"),
        ("sqlite", "path '/nowhere/x', role '{}'"),
        ("sqlite", "path '/nowhere/x', default '{}'"),
        ("sqlite", "path '/nowhere/x', connect_timeout '{}'"),
    ],
)
def test_a_client_s_placeholders_tell_nothing(
    server: ThreadServer,
    tmp_path: Path,
    name: str,
    monkeypatch: pytest.MonkeyPatch,
    type_: str,
    options: str,
) -> None:
    """Neither what the server's environment holds nor what its files do, in any option and any answer."""
    monkeypatch.setenv("BOUGH_TOLD", "inconfidence")
    (tmp_path / "told").write_text("inconfidence")
    told = []
    with server.connect() as connection:
        for placeholder in ("${BOUGH_TOLD}", f"${{file:{tmp_path}/told}}"):
            for statement in (
                f"CREATE DATASOURCE t_{name} TYPE {type_} OPTIONS ({options.format(placeholder)})",
                f"TEST DATASOURCE t_{name}",
                f"QUERY t_{name} AS $$ SELECT 1 $$",
                f"SELECT * FROM t_{name}.main.t",
                f"TRANSFER (SELECT 1 AS a) TO t_{name}.main.t",
                "SHOW DATASOURCES",
                "SELECT * FROM bough.transfers",
                f"DROP DATASOURCE IF EXISTS t_{name}",
            ):
                try:
                    cursor = connection.execute(statement)  # type: ignore[call-overload]
                    told.append(repr(cursor.fetchall()) if cursor.description else "")
                except psycopg.Error as error:
                    told.append(f"{error} {error.diag.message_detail} {error.diag.message_hint}")
    assert told and not [text for text in told if "inconfidence" in text]


def test_what_a_datasource_holds(client: psycopg.Connection[Any], lake: str) -> None:
    assert _rows(client, f"SHOW TABLES FROM {lake}") == [
        {"schema": "main", "name": "users", "kind": "table", "est_rows": None}
    ]
    assert _rows(client, f"SHOW SCHEMAS FROM {lake}") == [{"schema": "main"}]
    columns = {row["name"]: row for row in _rows(client, f"DESCRIBE {lake}.main.users")}
    assert columns["id"]["primary_key"] is True
    assert columns["id"]["local_type"] == "BIGINT"
    assert columns["name"]["nullable"] is False
    definition = _rows(client, f"SHOW CREATE TABLE {lake}.main.users")[0]["ddl"]
    assert definition.startswith("CREATE TABLE users")
    other = _rows(client, f"SHOW CREATE TABLE {lake}.main.users FOR postgres")[0]["ddl"]
    assert "bigint" in other.lower()


def test_local_is_a_datasource_too(client: psycopg.Connection[Any], flights: str) -> None:
    assert {"schema": "public", "name": flights, "kind": "table", "est_rows": 500} in _rows(
        client, "SHOW TABLES FROM local.public"
    )
    columns = {row["name"]: row for row in _rows(client, f"DESCRIBE local.public.{flights}")}
    assert columns["price"]["type"] == "DECIMAL(12,2)"
    assert columns["id"]["primary_key"] is True
    assert "main" in [row["database"] for row in _rows(client, "SHOW DATABASES FROM local")]
    found = _rows(client, f"QUERY local AS $$ SELECT max(id) AS m, max(price) AS p FROM {flights} $$")
    assert [str(value) for value in found[0].values()] == ["500", "625.00"]


def test_a_query_reads_and_only_reads(client: psycopg.Connection[Any], lake: str) -> None:
    assert _rows(client, f"QUERY {lake} AS $$ SELECT id, name, seen FROM users ORDER BY id LIMIT 2 $$") == [
        {"id": 1, "name": "Ada", "seen": None},
        {"id": 2, "name": "Bob", "seen": None},
    ]
    assert _refused(client, f"QUERY {lake} AS $$ DELETE FROM users $$").sqlstate in ("25006", "42601")
    assert len(_rows(client, f"QUERY {lake} AS $$ SELECT * FROM users $$")) == 3


def test_a_query_keeps_types(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as made:
        made.execute("CREATE TABLE v AS SELECT 1.50::DECIMAL(9,2) AS d, DATE '2024-02-29' AS day, [1, 2] AS l,"
                     " '00000000-0000-0000-0000-000000000001'::UUID AS u, NULL::INTEGER AS n")  # fmt: skip
    made.close()
    client.execute(f"CREATE DATASOURCE d_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'other.duckdb'}')")
    row = _rows(client, f"QUERY d_{name} AS $$ SELECT * FROM v $$")[0]
    client.execute(f"DROP DATASOURCE d_{name}")
    assert {key: str(value) for key, value in row.items()} == {
        "d": "1.50",
        "day": "2024-02-29",
        "l": "[1, 2]",
        "u": "00000000-0000-0000-0000-000000000001",
        "n": "None",
    }


def test_execute_guards_the_number_of_rows(client: psycopg.Connection[Any], lake: str) -> None:
    update = "$$ UPDATE users SET seen = 'now' WHERE id < 3 $$"
    assert client.execute(f"EXECUTE ON {lake} DRY RUN AS {update}").statusmessage == "EXECUTE 2"
    error = _refused(client, f"EXECUTE ON {lake} ROWS BETWEEN 0 AND 1 AS {update}")
    assert error.sqlstate == "P0004"
    count = f"QUERY {lake} AS $$ SELECT count(*) AS n FROM users WHERE seen = 'now' $$"
    assert _rows(client, count) == [{"n": 0}]
    client.execute(f"EXECUTE ON {lake} ROWS BETWEEN 1 AND 2 AS {update}")
    assert _rows(client, count) == [{"n": 2}]


def test_execute_on_local_guards_what_it_can_count_only(
    client: psycopg.Connection[Any], flights: str
) -> None:
    for statement in (f"TRUNCATE {flights}", f"DROP TABLE {flights}"):
        assert _refused(client, f"EXECUTE ON local ROWS BETWEEN 0 AND 5 AS '{statement}'").sqlstate == "0A000"
    removed = f"/* all */ DELETE FROM {flights} RETURNING id"
    assert _refused(client, f"EXECUTE ON local ROWS BETWEEN 0 AND 5 AS '{removed}'").sqlstate == "P0004"
    assert _rows(client, f"SELECT count(*) AS n FROM {flights}") == [{"n": 500}]


def test_contracts_need_no_connection(client: psycopg.Connection[Any], flights: str) -> None:
    capabilities = _rows(client, "SHOW MIGRATION CAPABILITIES FOR starrocks")
    assert list(capabilities[0]) == ["kind", "item", "detail", "since_version", "supported"]
    assert any(row["kind"] == "requires" for row in capabilities)
    assert {row["supported"] for row in capabilities} == {True}
    mapping = {row["source"]: row for row in _rows(client, "SHOW TYPE MAPPING FROM duckdb TO postgres")}
    assert mapping["tinyint"]["target"] == "smallint"
    assert mapping["tinyint"]["loss"] == "widening"
    assert _rows(client, "VALIDATE DDL FOR postgres AS $$ CREATE TABLE t (a integer) $$") == []
    text = " CREATE TABLE t (a integer, A text) "
    found = _rows(client, f"VALIDATE DDL FOR postgres AS $${text}$$")
    assert [(row["rule"], row["severity"], row["position"]) for row in found] == [
        ("column.duplicate", "error", text.index("A text") + 1)
    ]
    assert list(found[0]) == ["rule", "severity", "position", "message", "fix"]


def test_a_dialect_nobody_knows_gets_the_generic_rules(client: psycopg.Connection[Any], flights: str) -> None:
    capabilities = _rows(client, "SHOW MIGRATION CAPABILITIES FOR nothing_of_ours")
    assert {row["supported"] for row in capabilities} == {False}
    assert capabilities[0]["kind"] == "warning"
    assert _rows(client, "SHOW TYPE MAPPING FROM postgres TO nothing_of_ours") != []
    assert _rows(client, "VALIDATE DDL FOR nothing_of_ours AS $$ CREATE TABLE t (a integer) $$") == []
    assert _rows(client, f"SUGGEST LAYOUT FOR nothing_of_ours ON {flights}") == []
    client.execute(f"CREATE TABLE short AS SELECT id FROM {flights}")
    shown = _rows(client, "SHOW CREATE TABLE short FOR nothing_of_ours")[0]
    client.execute("DROP TABLE short")
    assert "nothing_of_ours" in shown["notes"][0]
    tried = "VALIDATE DDL FOR nothing_of_ours DRY RUN AS $$ CREATE TABLE t (a integer) $$"
    assert _refused(client, tried).sqlstate == "42704"


def test_a_layout_is_chosen_from_the_data(client: psycopg.Connection[Any], flights: str, name: str) -> None:
    """A column named like a key, with five values, is no distribution key."""
    query = f"(SELECT CAST(id % 5 AS bigint) AS status_id, CAST(id * 31 AS bigint) AS number, price FROM {flights})"
    rows = {row["clause"]: row for row in _rows(client, f"SUGGEST LAYOUT FOR greenplum ON {query}")}
    assert rows["distributed_by"]["columns"] == "number"
    assert "500 distinct values in 500 rows" in rows["distributed_by"]["reason"]
    assert rows["distributed_by"]["score"] > 0.9
    rows = {row["clause"]: row for row in _rows(client, f"SUGGEST LAYOUT FOR redshift ON {flights}")}
    assert rows["sortkey"]["columns"] == "at"
    ddl = _rows(client, f"SHOW CREATE TABLE {flights} FOR starrocks")[0]["ddl"]
    assert "PRIMARY KEY (id)\nDISTRIBUTED BY HASH (id)" in ddl
    assert _rows(client, f"VALIDATE DDL FOR starrocks AS $x$ {ddl} $x$") == []


# -- transfers ----------------------------------------------------------------------------------------------------


def test_a_table_goes_out_and_is_compared(client: psycopg.Connection[Any], lake: str, flights: str) -> None:
    steps = [row["step"] for row in _rows(client, f"EXPLAIN TRANSFER {flights} TO {lake}.main.out")]
    assert steps[0] == "source" and "publish" in steps
    assert len(_rows(client, f"SHOW TABLES FROM {lake}")) == 1
    cursor = client.execute(f"TRANSFER {flights} TO {lake}.main.out")
    assert cursor.statusmessage == "TRANSFER 500"
    result = cursor.fetchone()
    assert result is not None
    assert (result["rows_transferred"], result["verdict"]) == (500, "pass")
    assert result["target_table_created"] is True
    shown = {row["id"]: row for row in _rows(client, "SHOW TRANSFERS")}[result["transfer_id"]]
    assert (shown["state"], shown["role"], shown["rows_done"]) == ("done", "alice", 500)
    assert _rows(client, f"SELECT state FROM bough.transfers WHERE id = {result['transfer_id']}") == [
        {"state": "done"}
    ]
    cost = _rows(client, f"EXPLAIN RECONCILE {flights} WITH {lake}.main.out KEY (id) CHECKS (count, rows)")
    assert [(row["step"], row["rows"]) for row in cost] == [
        ("compare", None), ("scan", 0), ("read", 500), ("scan", 0), ("read", 500),
    ]  # fmt: skip
    report = _rows(client, f"RECONCILE {flights} WITH {lake}.main.out KEY (id) CHECKS (count, rows)")
    assert {row["status"] for row in report} == {"pass"}
    client.execute(f"UPDATE {flights} SET carrier = 'other' WHERE id = 7")
    report = _rows(client, f"RECONCILE {flights} WITH {lake}.main.out KEY (id) CHECKS (rows)")
    assert (report[-1]["check"], report[-1]["status"]) == ("verdict", "fail")
    assert [
        (row["check"], row["column"], row["detail"]) for row in report if row["check"].startswith("row ")
    ] == [("row changed", "carrier", "key (7)")]


def test_a_query_goes_out(client: psycopg.Connection[Any], lake: str, flights: str) -> None:
    client.execute(
        f"TRANSFER (SELECT carrier, count(*) AS n FROM {flights} GROUP BY carrier) TO {lake}.main.summary"
    )
    assert _rows(client, f"QUERY {lake} AS $$ SELECT sum(n) AS s FROM summary $$") == [{"s": 500}]


def test_a_transfer_leaves_from_the_session_s_branch(
    server: ThreadServer, client: psycopg.Connection[Any], lake: str, flights: str, branch: str
) -> None:
    with server.connect(branch) as other:
        other.execute(f"DELETE FROM {flights} WHERE id > 10")
    client.execute(f'SET branch = "{branch}"') if branch not in ("main",) else None
    client.execute(f"DELETE FROM {flights} WHERE id > 10")
    assert client.execute(f"TRANSFER {flights} TO {lake}.main.few").statusmessage == "TRANSFER 10"


def test_a_table_of_another_branch_is_a_source(
    server: ThreadServer, client: psycopg.Connection[Any], lake: str, flights: str, branch: str
) -> None:
    """As three parts in a SELECT and in RECONCILE; with its keys, which a query would not have."""
    with server.connect(branch) as other:
        other.execute(f"DELETE FROM {flights} WHERE id > 10") if branch != "main" else None
    rows = _rows(client, f'SELECT count(*) AS n FROM "{branch}".public.{flights}')[0]["n"]
    told = _rows(client, f'EXPLAIN TRANSFER "{branch}".public.{flights} TO {lake}.main.other')
    assert (told[0]["rows"], any("PRIMARY KEY" in row["detail"] for row in told)) == (rows, True)
    moved = client.execute(f'TRANSFER "{branch}".public.{flights} TO {lake}.main.other')
    assert moved.statusmessage == f"TRANSFER {rows}"


@pytest.mark.parametrize("by", ["CANCEL TRANSFER", "pg_cancel_backend"])
def test_a_running_transfer_is_cancelled(
    server: ThreadServer, client: psycopg.Connection[Any], lake: str, by: str
) -> None:
    def run() -> psycopg.Error:
        with server.connect() as other:
            return _refused(
                other,
                f"TRANSFER (SELECT i AS id FROM generate_series(1, 20000000) AS g(i)) TO {lake}.main.many",
            )

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        found: list[dict[str, Any]] = []
        while not found and not running.done():
            found = _rows(client, "SELECT id FROM bough.transfers WHERE state = 'running' AND rows_done > 0")
        if by == "CANCEL TRANSFER":
            client.execute(f"CANCEL TRANSFER {found[0]['id']}")
        else:
            sessions = "SELECT pid FROM bough.sessions WHERE statement LIKE 'TRANSFER (SELECT i%'"
            client.execute(f"SELECT pg_cancel_backend({_rows(client, sessions)[0]['pid']})")
        assert running.result(60).sqlstate == "57014"
    assert len(_rows(client, f"SHOW TABLES FROM {lake}")) == 1
    state = _rows(client, f"SELECT state FROM bough.transfers WHERE id = {found[0]['id']}")
    assert state == [{"state": "cancelled"}]
    assert _refused(client, f"CANCEL TRANSFER {found[0]['id']}").sqlstate == "55000"


def test_a_cancelled_transfer_says_what_it_kept(
    server: ThreadServer, client: psycopg.Connection[Any], tmp_path: Path, name: str
) -> None:
    """Pieces that are committed are not moved again: the client is told the command that goes on."""
    client.execute(f"CREATE TABLE many_{name} (id bigint PRIMARY KEY)")
    client.execute(f"INSERT INTO many_{name} SELECT i FROM generate_series(1, 400000) AS g(i)")
    client.execute(
        f"CREATE DATASOURCE c_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'c.duckdb'}', role 'read_write')"
    )

    def run() -> psycopg.Error:
        with server.connect() as other:
            return _refused(other, f"TRANSFER many_{name} TO c_{name}.main.many WITH (ranges 2000)")

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(run)
        found: list[dict[str, Any]] = []
        while not found and not running.done():
            found = _rows(
                client, "SELECT id FROM bough.transfers WHERE state = 'running' AND rows_done > 4000"
            )
        client.execute(f"CANCEL TRANSFER {found[0]['id']}")
        error = running.result()
    assert (error.sqlstate, error.diag.message_primary) == (
        "57014",
        "canceling statement due to user request",
    )
    assert error.diag.message_detail == "The target is as it was; what was committed is kept in staging."
    resume = f"RESUME TRANSFER {found[0]['id']}"
    assert (error.diag.message_hint or "").startswith(resume)
    assert client.execute(resume).statusmessage == "TRANSFER 400000"
    client.execute(f"DROP DATASOURCE c_{name}")


def test_datasources_of_the_settings_file(tmp_path: Path) -> None:
    config = tmp_path / "bough.toml"
    config.write_text(f'[datasources.there]\ntype = "sqlite"\npath = "{tmp_path / "there.sqlite"}"\n')
    settings = load({}, {}, config)
    state = RemoteState(None, settings)
    assert [item.name for item in state.datasources] == ["there"]
    with pytest.raises(BoughError) as caught:
        state.drop("there", if_exists=False)
    assert caught.value.sqlstate == "55006"
    config.write_text('[datasources.there]\ntype = "oracular"\n')
    with pytest.raises(SettingsError):
        RemoteState(None, load({}, {}, config))


def test_a_schema_comes_in_and_goes_out(
    client: psycopg.Connection[Any], lake: str, tmp_path: Path, name: str
) -> None:
    schema = f"z_{name}"[:50]
    client.execute(f"CREATE SCHEMA {schema}")
    results = _rows(client, f"TRANSFER SCHEMA main FROM {lake} TO local.{schema}")
    assert [(row["target_table"], row["rows_transferred"]) for row in results] == [(f"{schema}.users", 3)]
    client.execute(
        f"CREATE DATASOURCE o_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'o.duckdb'}', role 'read_write')"
    )
    client.execute(f"TRANSFER SCHEMA {schema} TO o_{name}.main")
    assert _rows(client, f"QUERY o_{name} AS $$ SELECT count(*) AS n FROM users $$") == [{"n": 3}]
    client.execute(f"DROP DATASOURCE o_{name}")


def test_a_table_comes_in_old_or_new(client: psycopg.Connection[Any], lake: str, name: str) -> None:
    into = f"local.public.in_{name}"[:60]
    table = into.removeprefix("local.")
    assert client.execute(f"TRANSFER users FROM {lake} TO {into}").statusmessage == "TRANSFER 3"
    columns = {row["name"]: row for row in _rows(client, f"DESCRIBE {into}")}
    assert columns["id"]["primary_key"] is True
    assert columns["name"]["nullable"] is False
    client.execute(f"UPDATE {table} SET name = 'Zed' WHERE id = 3")
    client.execute(f"INSERT INTO {table} VALUES (4, 'Dee', NULL)")
    upsert = client.execute(
        f"TRANSFER (SELECT * FROM users WHERE id < 3) FROM {lake} TO {into} MODE upsert KEY (id)"
    )
    assert upsert.statusmessage == "TRANSFER 2"
    assert [r["name"] for r in _rows(client, f"SELECT name FROM {table} ORDER BY id")] == [
        "Ada",
        "Bob",
        "Zed",
        "Dee",
    ]
    twice = f"TRANSFER users FROM {lake} TO {into} MODE append"
    assert _refused(client, twice).sqlstate == "23505"
    assert len(_rows(client, f"SELECT * FROM {table}")) == 4
    assert _rows(client, "SELECT state FROM bough.transfers ORDER BY id DESC LIMIT 1") == [
        {"state": "failed"}
    ]
    client.execute(f"TRANSFER users FROM {lake} TO {into}")
    assert {row["status"] for row in _rows(client, f"RECONCILE {lake}.users WITH {into} KEY (id)")} == {
        "pass"
    }


def test_a_table_comes_in_on_a_branch(
    client: psycopg.Connection[Any], lake: str, branch: str, name: str, server: ThreadServer
) -> None:
    client.execute(f'TRANSFER users FROM {lake} TO local.public.b_{name} ON BRANCH "{branch}"')
    with server.connect(branch) as there:
        assert there.execute(f"SELECT count(*) FROM b_{name}").fetchone() == (3,)
    assert _refused(client, f"SELECT * FROM b_{name}").sqlstate == "42P01"


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("TRANSFER {t} TO nowhere_at_all.public.x", "42704"),
        ("TRANSFER {t} FROM nowhere_at_all TO {s}.x", "42704"),
        ("TRANSFER there_is_no_such TO {s}.x", "42P01"),
        ("TRANSFER there_is_no_such FROM {s} TO local.x", "HV00R"),
        ("RECONCILE there_is_no_such WITH {s}.users", "42P01"),
        ("SUGGEST LAYOUT FOR clickhouse ON there_is_no_such", "42P01"),
        ("TRANSFER {t} TO {s}.users MODE create", "42P07"),
        ("TRANSFER {t} TO {s}.x MODE upsert", "22023"),
        ("TRANSFER {t} TO {s}.x WITH (frobnicate '1')", "22023"),
        ("TRANSFER users FROM {s} TO local.x MODE incremental CURSOR nope", "42703"),
        ('TRANSFER users FROM {s} TO local.x ON BRANCH "_bough_pin_1"', "42704"),
        ("TRANSFER users FROM {s} TO local.x ON BRANCH there_is_none", "42704"),
        ("RESUME TRANSFER 4711", "42704"),
        ("CANCEL TRANSFER 4711", "42704"),
        ("DESCRIBE {s}.main.there_is_no_such", "HV00R"),
        ("DROP DATASOURCE local", "42939"),
        ("TRANSFER {t} TO {s}.nowhere.x", "3F000"),
        ("EXPLAIN TRANSFER {t} TO {s}.nowhere.x", "3F000"),
        ("EXPLAIN TRANSFER {t} TO local.nowhere.x", "3F000"),
        ("TRANSFER SCHEMA nowhere FROM {s} TO local.public", "3F000"),
        ("CREATE DATASOURCE x TYPE sqlite OPTIONS (path '/x', role 'admin')", "HV00A"),
        ("CREATE DATASOURCE x TYPE oracular OPTIONS (path '/x')", "HV00A"),
    ],
)
def test_refusals(
    client: psycopg.Connection[Any], lake: str, flights: str, statement: str, sqlstate: str
) -> None:
    assert _refused(client, statement.format(t=flights, s=lake)).sqlstate == sqlstate
    assert len(_rows(client, f"SHOW TABLES FROM {lake}")) == 1


def test_a_target_without_a_datasource_is_told_how_to_name_the_branch(
    client: psycopg.Connection[Any], flights: str
) -> None:
    hint = _refused(client, f'TRANSFER {flights} TO "Mine".copied').diag.message_hint or ""
    assert hint.endswith('A table of the session\'s branch is local."Mine".copied.')
    client.execute(f"TRANSFER {flights} TO local.{flights}_2")  # type: ignore[arg-type]
    client.execute(f"DROP TABLE {flights}_2")  # type: ignore[arg-type]


def test_a_read_only_datasource_is_not_written(
    client: psycopg.Connection[Any], tmp_path: Path, name: str, flights: str
) -> None:
    file = tmp_path / "closed.sqlite"
    sqlite3.connect(file).close()
    client.execute(f"CREATE DATASOURCE r_{name} TYPE sqlite OPTIONS (path '{file}')")
    for before in ("EXPLAIN ", ""):
        error = _refused(client, f"{before}TRANSFER {flights} TO r_{name}.x")
        assert error.sqlstate == "25006"
        assert error.diag.message_hint.startswith(f"DROP DATASOURCE r_{name}")  # type: ignore[union-attr]
    client.execute(f"DROP DATASOURCE r_{name}")


def test_a_schema_that_is_missing_is_told_how_to_make_it(
    client: psycopg.Connection[Any], tmp_path: Path, name: str, flights: str
) -> None:
    """Before the source is read, and by EXPLAIN as by TRANSFER."""
    odd = f"Of {name}"[:50]
    client.execute(
        f"CREATE DATASOURCE \"{odd}\" TYPE duckdb OPTIONS (path '{tmp_path}/odd.duckdb', role 'read_write')"  # type: ignore[arg-type]
    )
    for target, way in (
        (f'"{odd}"."new ""one"""', rf'(EXECUTE ON "{odd}" AS \$\$ .* \$\$) makes it\.$'),
        (f'local."{odd}"', r"^(CREATE SCHEMA .*;)$"),
    ):
        hints = {
            _refused(client, f"{before}TRANSFER {flights} TO {target}.t").diag.message_hint
            for before in ("EXPLAIN ", "")
        }
        found = re.search(way, hints.pop() or "")
        assert found is not None and not hints
        client.execute(found[1])  # type: ignore[arg-type]
        assert client.execute(f"TRANSFER {flights} TO {target}.t").statusmessage == "TRANSFER 500"  # type: ignore[arg-type]
    client.execute(f'DROP SCHEMA "{odd}" CASCADE')  # type: ignore[arg-type]
    client.execute(f'DROP DATASOURCE "{odd}"')  # type: ignore[arg-type]


def test_a_column_that_stops_a_schema_is_named_with_its_table(
    client: psycopg.Connection[Any], lake: str, name: str
) -> None:
    client.execute(f"CREATE SCHEMA s_{name}")
    client.execute(f"CREATE TABLE s_{name}.a_fine (v double precision)")
    client.execute(f"CREATE TABLE s_{name}.not_so (v double precision)")
    client.execute(f"INSERT INTO s_{name}.not_so VALUES ('NaN')")
    for before in ("EXPLAIN ", ""):
        error = _refused(client, f"{before}TRANSFER SCHEMA s_{name} TO {lake}.main")
        assert (error.sqlstate, error.diag.table_name) == ("HV004", "not_so")
        assert error.diag.message_primary.startswith('table "not_so": column "v"')  # type: ignore[union-attr]
    client.execute(f"DROP SCHEMA s_{name} CASCADE")


# -- PostgreSQL ---------------------------------------------------------------------------------------------------


@pytest.fixture
def pg(client: psycopg.Connection[Any], postgres: Any, name: str) -> Iterator[str]:
    source = f"p_{name}"[:50]
    client.execute(
        f"CREATE DATASOURCE {source} TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
        f" user '{postgres.user}', database '{postgres.database}', role 'read_write')"
    )
    yield source
    client.execute(f"DROP DATASOURCE {source}")


@pytest.mark.postgres
def test_postgres_takes_a_table(client: psycopg.Connection[Any], pg: str, flights: str) -> None:
    moved = client.execute(f"TRANSFER {flights} TO {pg}.public.{flights}")
    assert moved.statusmessage == "TRANSFER 500"
    jsonb = psycopg.adapters.types["jsonb"]
    assert [c.type_code for c in moved.description or () if c.name == "checks"] == [jsonb.oid]
    asked = f"""QUERY {pg} AS $$ SELECT '{{"a": 1}}'::jsonb AS j, '[2]'::json AS k, ARRAY['{{}}'::jsonb] AS l $$"""
    for binary in (False, True):
        documents = client.execute(asked, binary=binary)  # type: ignore[call-overload]
        codes = [column.type_code for column in documents.description or ()]
        assert codes == [jsonb.oid, psycopg.adapters.types["json"].oid, jsonb.array_oid]
        assert documents.fetchone() == {"j": {"a": 1}, "k": [2], "l": [{}]}
    columns = {row["name"]: row["type"] for row in _rows(client, f"DESCRIBE {pg}.public.{flights}")}
    assert columns["price"] == "numeric(12,2)"
    assert "timestamp" in columns["at"]
    report = _rows(client, f"RECONCILE {flights} WITH {pg}.public.{flights} CHECKS ALL")
    assert {row["status"] for row in report} == {"pass"}
    sums = _rows(client, f"QUERY {pg} AS $$ SELECT sum(price) AS s, min(at) AS a FROM {flights} $$")[0]
    assert sums["s"] == Decimal("156562.50")
    wide = f"QUERY {pg} AS $$ SELECT 10::numeric ^ 60 + 0.5 AS n, 'NaN'::numeric AS m, 1e-20::numeric AS s $$"
    found = _rows(client, wide)[0]
    assert (str(found["n"])[:3], str(found["m"]), f"{found['s']:f}") == (
        "100",
        "NaN",
        "0.00000000000000000001",
    )
    assert sums["a"].isoformat() == "2024-03-01T00:01:00+00:00"


@pytest.mark.postgres
def test_postgres_is_refused_what_it_would_lose(client: psycopg.Connection[Any], pg: str, lake: str) -> None:
    client.execute(f"EXECUTE ON {lake} AS $$ INSERT INTO users VALUES (9, 'nul' || char(0) || 'x', NULL) $$")
    error = _refused(client, f"TRANSFER users FROM {lake} TO {pg}.public.lossy")
    assert error.sqlstate == "HV004"
    assert "name" in str(error)
    assert "lossy" not in [row["name"] for row in _rows(client, f"SHOW TABLES FROM {pg}.public")]
    assert _refused(client, f"SHOW TABLES FROM {pg}.lossy").sqlstate == "3F000"


@pytest.mark.postgres
def test_validate_asks_the_server(client: psycopg.Connection[Any], pg: str) -> None:
    fine = f"VALIDATE DDL FOR {pg} DRY RUN AS $$ CREATE TABLE dry (a integer) $$"
    assert _rows(client, fine) == []
    assert "dry" not in [row["name"] for row in _rows(client, f"SHOW TABLES FROM {pg}.public")]


def test_a_schema_comes_into_a_branch_with_its_numbers(client: psycopg.Connection[Any]) -> None:
    """An id that was generated where it came from is generated here, behind the rows that came."""
    client.execute("CREATE SCHEMA numbers")
    client.execute(
        "CREATE TABLE numbers.bills (id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, total numeric(9,2))"
    )
    client.execute("CREATE INDEX by_total ON numbers.bills (total)")
    client.execute("INSERT INTO numbers.bills (id, total) VALUES (41, 1)")
    result = _rows(client, "TRANSFER SCHEMA numbers TO local.more")[0]
    notes = [check["detail"] for check in result["checks"] if check["check"] == "note"]
    assert 'column "id" counts on from 42' in notes
    assert not any("not kept" in note for note in notes)
    client.execute("INSERT INTO more.bills (total) VALUES (2)")
    assert _rows(client, "SELECT id FROM more.bills ORDER BY id") == [{"id": 41}, {"id": 42}]
    assert "CREATE INDEX" in _rows(client, "SHOW CREATE TABLE local.more.bills")[0]["ddl"]
    client.execute("UPDATE numbers.bills SET id = 90")
    client.execute("TRANSFER numbers.bills TO local.more.bills")
    client.execute("INSERT INTO more.bills (total) VALUES (3)")
    assert _rows(client, "SELECT id FROM more.bills ORDER BY id") == [{"id": 90}, {"id": 91}]
    client.execute("DROP SCHEMA numbers CASCADE")
    client.execute("DROP SCHEMA more CASCADE")


def test_a_datasources_table_is_shown_as_it_would_be_here(client: psycopg.Connection[Any], lake: str) -> None:
    shown = _rows(client, f"SHOW CREATE TABLE {lake}.users FOR local")[0]
    assert shown == {**_rows(client, f"SHOW CREATE TABLE {lake}.users FOR duckdb")[0]}
    assert not any("no contract" in note for note in shown["notes"])


@pytest.mark.postgres
def test_a_description_leaves_no_session_behind(client: psycopg.Connection[Any], pg: str) -> None:
    """What a QUERY or a tool gives is told by its reader, which nobody reads from then."""
    counted = "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = 'bough'"
    before = _rows(client, f"QUERY {pg} AS $$ {counted} $$")
    for statement in (
        f"QUERY {pg} AS $$ SELECT 1 AS a $$",
        f"SELECT * FROM bough.read_query(sql => 'SELECT 1 AS a', datasource => '{pg}')",
    ):
        for _ in range(3):
            client.execute(statement, prepare=True)  # type: ignore[call-overload]
            client.execute("DEALLOCATE ALL")
    assert _rows(client, f"QUERY {pg} AS $$ {counted} $$") == before


@pytest.mark.postgres
def test_a_definition_for_another_engine_can_be_run_there(
    client: psycopg.Connection[Any], pg: str, tmp_path: Path, name: str
) -> None:
    """A schema that is only the default where a table comes from (main, public) is not said elsewhere."""
    client.execute(
        f"CREATE DATASOURCE d_{name} TYPE duckdb OPTIONS (path '{tmp_path}/d.duckdb', role 'read_write')"
    )
    for shape in (
        "parents (id int PRIMARY KEY)",
        "kids (id int PRIMARY KEY, parent int REFERENCES parents (id))",
    ):
        client.execute(f"CREATE TABLE {shape}")
    ways = (("local.public", f"d_{name}"), (f"d_{name}.main", pg), (f"{pg}.public", "local"))
    for source, target in ways:
        if target == "local":
            client.execute("DROP TABLE kids")
            client.execute("DROP TABLE parents")
        for table in ("parents", "kids"):
            ddl = _rows(client, f"SHOW CREATE TABLE {source}.{table} FOR {target}")[0]["ddl"]
            client.execute(f"EXECUTE ON {target} AS $$ {ddl} $$")
    for table in ("kids", "parents"):
        assert _rows(client, f"SELECT count(*) AS n FROM {table}") == [{"n": 0}]
        client.execute(f"DROP TABLE {table}")
        client.execute(f"EXECUTE ON {pg} AS $$ DROP TABLE {table} $$")
    client.execute(f"DROP DATASOURCE d_{name}")


@pytest.mark.parametrize("branch", ["main", "definitions"])
def test_a_table_of_a_branch_is_shown_as_what_makes_it_again(server: ThreadServer, branch: str) -> None:
    """With its numbers, checks, lengths, computed columns and what its references do; nothing is left out unsaid."""
    with server.connect() as client:
        client.row_factory = dict_row
        if branch != "main":
            client.execute(f"BRANCH CREATE {branch}")
            client.execute(f"BRANCH SWITCH {branch}")
        client.execute("CREATE SCHEMA told")
        client.execute("CREATE TABLE told.p (id bigint PRIMARY KEY)")
        client.execute(
            'CREATE TABLE told."T x" ('
            " id bigint GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5) PRIMARY KEY, s serial,"
            " down int GENERATED BY DEFAULT AS IDENTITY (START WITH -5 INCREMENT BY -2 MINVALUE -99 CYCLE),"
            " n int CHECK (n > 0) DEFAULT 7, g int GENERATED ALWAYS AS (n * 2) STORED, v varchar(10) NOT NULL,"
            " at timestamptz DEFAULT now(), p bigint REFERENCES told.p (id) ON DELETE CASCADE, UNIQUE (n, v))"
        )
        client.execute('CREATE INDEX told_i ON told."T x" (n)')
        client.execute('CREATE UNIQUE INDEX told_e ON told."T x" (lower(v))')
        client.execute("""COMMENT ON TABLE told."T x" IS 'it''s'""")
        shown = _rows(client, 'SHOW CREATE TABLE local.told."T x"')[0]
        assert shown["notes"] == []
        assert "IDENTITY (START WITH 100 INCREMENT BY 5)" in shown["ddl"]
        client.execute('DROP TABLE told."T x"')
        for statement in shown["ddl"].split(";\n"):
            client.execute(statement)
        assert _rows(client, 'SHOW CREATE TABLE local.told."T x"')[0]["ddl"] == shown["ddl"]
        client.execute("""INSERT INTO told."T x" (v) VALUES ('a'), ('b')""")
        assert _rows(client, 'SELECT id, s, down, g FROM told."T x"') == [
            {"id": 100, "s": 1, "down": -5, "g": 14},
            {"id": 105, "s": 2, "down": -7, "g": 14},
        ]
        other = _rows(client, 'SHOW CREATE TABLE local.told."T x" FOR postgres')[0]
        for said in (
            "id bigint NOT NULL GENERATED ALWAYS AS IDENTITY (START WITH 100 INCREMENT BY 5)",
            "s integer NOT NULL GENERATED BY DEFAULT AS IDENTITY,",
            "down integer NOT NULL GENERATED BY DEFAULT AS IDENTITY (START WITH -5 INCREMENT BY -2)",
        ):
            assert said in other["ddl"]
        assert {
            "index told_e (expression) is not kept",  # it was an internal error
            "check T x_n_check is not kept",
            'column "g" is computed: its term is not kept',
        } <= set(other["notes"])
        assert _rows(client, 'SHOW CREATE TABLE local.told."T x" FOR local')[0]["ddl"] == shown["ddl"]
        error = _refused(
            client, "TRANSFER (SELECT 1 AS id, 'a' AS v, 2 AS g) TO local.told.\"T x\" MODE append"
        )
        assert (error.sqlstate, error.diag.message_hint) == (
            "428C9",
            "SKIP (g) lets the target compute: WITH (skip 'g').",
        )
        client.execute('CREATE VIEW told.v AS SELECT id FROM told."T x"')
        view = _rows(client, "SHOW CREATE TABLE local.told.v FOR mysql")[0]
        assert "told.v is a view: this is a table of its columns" in view["notes"]
        plain = _rows(client, 'SHOW CREATE TABLE local.told."T x" FOR duckdb')[0]
        assert 'column "id": generated numbers are not kept' in plain["notes"]
        client.execute("DROP SCHEMA told CASCADE")


def test_a_query_may_show_and_explain(client: psycopg.Connection[Any], tmp_path: Path, name: str) -> None:
    client.execute(
        f"CREATE DATASOURCE e_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'e.duckdb'}', role 'read_write')"
    )
    client.execute(f"EXECUTE ON e_{name} AS $$ CREATE TABLE told (a int, b text) $$")
    rows = _rows(client, f"QUERY e_{name} AS $$ DESCRIBE told $$")
    assert [(row["column_name"], row["column_type"]) for row in rows] == [("a", "INTEGER"), ("b", "VARCHAR")]
    assert "Seq Scan" in str(_rows(client, f"QUERY e_{name} AS $$ EXPLAIN SELECT a FROM told $$"))
    assert _rows(client, f"QUERY e_{name} AS $$ VALUES (1), (2) $$") == [{"col0": 1}, {"col0": 2}]
    assert _refused(client, f"QUERY e_{name} AS $$ EXPLAIN ANALYZE DELETE FROM told $$").sqlstate == "25006"
    assert "told" in str(
        _rows(client, f"SELECT * FROM read_query(query => 'SHOW TABLES', datasource => 'e_{name}')")
    )
    client.execute(f"DROP DATASOURCE e_{name}")


def test_views_of_a_schema_move_between_branches_and_files(
    client: psycopg.Connection[Any], tmp_path: Path, name: str
) -> None:
    client.execute("CREATE SCHEMA seen")
    client.execute("CREATE TABLE seen.t (id int PRIMARY KEY, n int, label text)")
    client.execute("INSERT INTO seen.t VALUES (1, 7, 'a'), (2, 9, 'b')")
    client.execute("CREATE VIEW seen.halves AS SELECT id, n / 2 AS half, label || '!' AS loud FROM seen.t")
    client.execute("CREATE VIEW seen.big AS SELECT * FROM seen.halves WHERE half > 3")
    client.execute(
        f"CREATE DATASOURCE v_{name} TYPE duckdb OPTIONS (path '{tmp_path / 'v.duckdb'}', role 'read_write')"
    )
    for _ in range(2):
        results = _rows(client, f"TRANSFER SCHEMA seen TO v_{name}.out WITH (verify 'L3')")
        assert [row["target_table"] for row in results] == ["out.t", "out.halves", "out.big"]
        assert [row["verdict"] for row in results] == ["pass"] * 3
        _rows(client, f"TRANSFER SCHEMA out FROM v_{name} TO local.again")
    for there in (f"SELECT id, half, loud FROM v_{name}.out.big", "SELECT id, half, loud FROM again.big"):
        assert _rows(client, there) == [{"id": 2, "half": 4, "loud": "b!"}]
    client.execute("UPDATE again.t SET n = 100 WHERE id = 1")
    assert len(_rows(client, "SELECT * FROM again.big")) == 2
    error = _refused(client, f"TRANSFER SCHEMA seen TO v_{name}.out WITH (skip_views 'halves')")
    assert error.sqlstate == "0A000"
    assert "big: it reads seen.halves" in (error.diag.message_detail or "")
    notices: list[str] = []
    client.add_notice_handler(lambda diag: notices.append(diag.message_primary or ""))
    client.execute(f"TRANSFER SCHEMA seen TO v_{name}.none WITH (skip_views '*')")
    assert {
        'view "big" is left behind, as skip_views says',
        'view "halves" is left behind, as skip_views says',
    } <= set(notices)
    steps = _rows(client, f"EXPLAIN TRANSFER SCHEMA seen TO v_{name}.out")
    assert {"step": "view", "detail": "out.big", "rows": None} in steps
    client.execute(f"TRANSFER SCHEMA seen TO v_{name}.part WITH (skip_tables 't', views_as_tables '*')")
    assert 'table "t" is left behind, as skip_tables says' in notices
    assert [row["name"] for row in _rows(client, f"SHOW TABLES FROM v_{name}.part")] == ["big", "halves"]
    for option in ("skip_views", "skip_tables"):
        error = _refused(client, f"TRANSFER seen.t TO v_{name}.out.t WITH ({option} 'big')")
        assert error.sqlstate == "22023"
    client.execute("DROP SCHEMA again CASCADE")
    client.execute("DROP SCHEMA seen CASCADE")
    client.execute(f"DROP DATASOURCE v_{name}")


def test_hints_can_be_sent_as_they_are(
    client: psycopg.Connection[Any], lake: str, tmp_path: Path, name: str
) -> None:
    """A name that needs quotes has them, wherever a hint names the next command."""
    odd = f'"Of {name}""s"'[:60]
    made = f"CREATE DATASOURCE {odd} TYPE duckdb OPTIONS (path '{tmp_path}/odd.duckdb', role 'read_write')"
    client.execute(made)  # type: ignore[arg-type]
    client.execute(f"EXECUTE ON {odd} AS $$ CREATE TABLE t (id int) $$")  # type: ignore[arg-type]
    for text, command in (
        (made, f"DROP DATASOURCE {odd}"),
        (f"SHOW TABLES FROM {odd}.nowhere", f"SHOW SCHEMAS FROM {odd}"),
        (f"SHOW SCHEMAS FROM {odd}.nowhere", f"SHOW SCHEMAS FROM {odd}"),
        (f"SHOW TABLES FROM {odd}.nowhere.main", f"SHOW DATABASES FROM {odd}"),
        (f"DESCRIBE {odd}.main.nothing", f"SHOW TABLES FROM {odd}"),
        (f"QUERY {odd} AS $$ SELECT * FROM nothing $$", f"SHOW TABLES FROM {odd}"),
    ):
        hint = _refused(client, text).diag.message_hint or ""
        assert hint.startswith(command), text
        client.execute(command)  # type: ignore[arg-type]
        if command.startswith("DROP"):
            client.execute(made)  # type: ignore[arg-type]
    client.execute(f"DROP DATASOURCE {odd}")  # type: ignore[arg-type]


def test_what_a_schema_or_a_branch_of_local_holds(client: psycopg.Connection[Any], name: str) -> None:
    client.execute(f"BRANCH CREATE b_{name}")  # type: ignore[arg-type]
    client.execute(f"CREATE TABLE t_{name} (id int)")  # type: ignore[arg-type]
    here = {row["name"] for row in _rows(client, "SHOW TABLES FROM local.public")}
    there = {row["name"] for row in _rows(client, f"SHOW TABLES FROM local.b_{name}.public")}
    assert f"t_{name}" in here - there


def test_a_query_of_local_says_what_the_statement_says(server: ThreadServer, name: str) -> None:
    """Texts of lists and the types of strings, also behind a subquery or a query of WITH."""
    with server.connect() as connection:
        connection.execute(f"CREATE TABLE {name} (id int, l int[], seen date)")
        connection.execute(f"INSERT INTO {name} VALUES (1, '{{1,NULL}}', '2020-01-01'), (2, '{{}}', NULL)")
        for source in (
            f"SELECT id, l::text AS l FROM {name} WHERE seen = '2020-1-1'",
            f"SELECT id, z.l::text AS l FROM (SELECT * FROM {name}) z WHERE seen = '2020-1-1' AND l = '{{1,NULL}}'",
            f"WITH z AS (SELECT l AS k, id FROM {name}) SELECT id, k::text AS l FROM z WHERE k = '{{1,NULL}}'",
        ):
            found = connection.execute(source).fetchall()
            assert found == [(1, "{1,NULL}")]
            assert connection.execute(f"QUERY local AS $$ {source} $$").fetchall() == found
            connection.execute(f"TRANSFER ({source}) TO local.public.{name}_copy")
            assert connection.execute(f"SELECT * FROM {name}_copy").fetchall() == found
            connection.execute(f"EXECUTE ON local AS $$ INSERT INTO {name}_copy {source} $$")
            assert connection.execute(f"SELECT * FROM {name}_copy").fetchall() == found * 2
