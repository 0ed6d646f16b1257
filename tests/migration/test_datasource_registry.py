"""Datasources: options in every spelling, placeholders, secrets that stay secret, which one is meant."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from migration.connectors import connect
from migration.connectors.base import Source
from migration.datasources.datasource import (
    Datasource,
    Datasources,
    datasource,
    read_secrets,
    write_secrets,
)
from migration.datasources.lists import from_agent_file, from_toml
from migration.datasources.secrets import fill, mask
from migration.errors import MigrationError
from migration.statements import check_query, check_statement

AGENT = """
agent:
  services:
    datasources:
      warehouse:
        type: postgresql
        host: ${PGHOST:-127.0.0.1}
        port: 5432
        username: reader
        password: ${PGPASSWORD}
        database: sales
        schema_name: public
        sslmode: prefer
        timeout_seconds: 30
        default: true
      files:
        type: duckdb
        uri: duckdb:///data/sales.duckdb
"""


def test_an_agent_file_is_accepted_as_it_is(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text(AGENT)
    registry = Datasources(from_agent_file(path))
    chosen = registry.select()
    assert (chosen.name, chosen.type, chosen.connect_timeout) == ("warehouse", "postgres", 30.0)
    assert chosen.filled({"PGPASSWORD": "x"})["host"] == "127.0.0.1"
    assert registry.get("files").options["path"] == "data/sales.duckdb"
    with pytest.raises(MigrationError, match="PGPASSWORD is not set"):
        registry.check({})


def test_the_old_key_is_named(tmp_path: Path) -> None:
    path = tmp_path / "agent.yml"
    path.write_text("agent: {services: {databases: {}}}")
    with pytest.raises(MigrationError, match=r"services\.databases"):
        from_agent_file(path)


def test_a_toml_file(tmp_path: Path) -> None:
    path = tmp_path / "bough.toml"
    path.write_text('port = 5439\n[datasources.pg]\ntype = "postgres"\nhost = "db"\nrole = "read_write"\n')
    (found,) = from_toml(path)
    assert (found.name, found.read_only, found.options["host"]) == ("pg", False, "db")


@pytest.mark.parametrize(
    ("text", "environment", "result"),
    [
        ("a${V}c", {"V": "b"}, "abc"),
        ("${V:-d}", {}, "d"),
        ("${V:-d}", {"V": ""}, "d"),
        ("${V}", {"V": ""}, ""),
        ("$$${V}", {"V": "1"}, "$1"),
        ("$5 {x}", {}, "$5 {x}"),
    ],
)
def test_placeholders(text: str, environment: dict[str, str], result: str) -> None:
    assert fill(text, "option", environment) == result


def test_what_cannot_be_filled_is_named(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("from a file\n")
    assert fill(f"${{file:{secret}}}", "password", {}) == "from a file"
    for text, message in (
        ("${V}", "V is not set"),
        ("${file:/nowhere/x}", "cannot be read"),
        ("${1}", "no placeholder"),
    ):
        with pytest.raises(MigrationError, match=message):
            fill(text, "datasource d, password", {})
    with pytest.raises(MigrationError) as refusal:
        fill("${V:?ask the owner}", "password", {})
    assert refusal.value.detail == "ask the owner"


@given(st.text(min_size=6, max_size=30).filter(lambda text: text.strip("*") and "$" not in text))
def test_a_secret_is_in_no_text_but_its_own(secret: str) -> None:
    item = datasource("pg", "postgres", {"host": "h", "password": secret})
    shown = repr(item) + str(item) + repr(item.shown()) + json.dumps(item.to_dict(), ensure_ascii=False)
    assert item.secrets["password"].reveal() == secret
    assert secret not in shown.replace("postgres", "")
    assert secret not in mask(f"login with <{secret}> failed", [secret])
    assert Datasource.from_dict(item.to_dict(), item.secrets_to_dict()) == item


def test_a_failed_connection_shows_no_password() -> None:
    connector = connect(
        datasource(
            "pg", "postgres", {"host": "127.0.0.1", "port": "1", "user": "u", "password": "open sesame"}
        )
    )
    with pytest.raises(MigrationError) as refusal:
        connector.test()
    assert refusal.value.sqlstate == "HV00N"
    assert "sesame" not in repr(refusal.value)


def test_secrets_are_kept_in_a_file_of_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / "secrets.json"
    write_secrets(path, {"pg": {"password": "open sesame"}})
    assert path.stat().st_mode & 0o777 == 0o600
    assert read_secrets(path) == {"pg": {"password": "open sesame"}}
    path.chmod(0o644)
    with pytest.raises(MigrationError, match="read by others"):
        read_secrets(path)


def test_urls() -> None:
    item = datasource(
        "pg", "postgres", {"uri": "postgresql+psycopg://u:${file:/run/x}@[::1]:5433/sales?sslmode=require"}
    )
    assert dict(item.options) == {
        "sslmode": "require",
        "user": "u",
        "host": "::1",
        "port": "5433",
        "database": "sales",
    }
    assert item.secrets["password"].reveal() == "${file:/run/x}"
    assert datasource("m", "mysql", {"uri": "mysql://u:a%40b@h/d"}).secrets["password"].reveal() == "a@b"


def test_the_registry() -> None:
    registry = Datasources()
    registry.create("a", "sqlite", {"path": ":memory:"})
    assert registry.select().name == "a"
    with pytest.raises(MigrationError, match="already exists"):
        registry.create("a", "sqlite", {"path": "a.sqlite"})
    registry.create("b", "sqlite", {"path": "b.sqlite"})
    with pytest.raises(MigrationError, match="not clear"):
        registry.select()
    with pytest.raises(MigrationError) as refusal:
        registry.get("c")
    assert refusal.value.sqlstate == "42704"
    assert registry.drop("a")
    assert not registry.drop("a", if_exists=True)


@pytest.mark.parametrize(
    ("type_", "options", "message"),
    [
        ("postgres", {"hots": "x"}, 'no option "hots"'),
        ("postgress", {}, "unknown datasource type"),
        ("sqlite", {}, "path or path_pattern is missing"),
        ("duckdb", {"database": "lake.duckdb"}, "path or path_pattern is missing"),
        ("duckdb", {"uri": "duckdb:///"}, "path or path_pattern is missing"),
        ("postgres", {"role": "owner"}, "read_only or read_write"),
        ("postgres", {"auth_mode": "iam"}, "only auth_mode password"),
        ("mysql", {"uri": "postgres://h/d"}, "starts with mysql"),
    ],
)
def test_what_cannot_be_used_is_refused(type_: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(MigrationError, match=message):
        datasource("d", type_, options)


def test_a_password_in_an_odd_place_stays_one() -> None:
    query = "charset=utf8mb4&passwd=very%20secret"
    item = datasource("d", "sqlalchemy", {"driver": "mysql+pymysql", "host": "h", "query": query})
    assert "secret" not in repr(item) + str(item.shown()) + json.dumps(item.to_dict())
    assert item.secrets_to_dict() == {"query": query}
    assert "utf8mb4" not in item.secret_texts()
    assert "very%20secret" in item.secret_texts()
    for options in (
        {"uri": "mysql://user:very secret"},  # the host is missing: it stands where a port does
        {"host": "h", "port": "very secret"},
        {"host": "h", "extra": '{"password": "very secret"}'},
    ):
        with pytest.raises(MigrationError) as caught:
            datasource("d", "mysql", options)
        assert "secret" not in f"{caught.value} {caught.value.detail} {caught.value.hint}"
    assert datasource("d", "mysql", {"port": "${PORT}"}).filled({"PORT": "5"}) == {"port": "5"}


@pytest.mark.parametrize(
    ("type_", "options"),
    [
        ("mysql", {"host": "127.0.0.1", "port": "1", "sslcert": "/no/such/file"}),
        ("sqlalchemy", {"driver": "mysql+pymysql", "host": "127.0.0.1", "port": "1", "query": "no_such=1"}),
    ],
)
def test_what_a_driver_refuses_is_the_datasource_s_mistake(type_: str, options: dict[str, str]) -> None:
    with pytest.raises(MigrationError, match="cannot connect") as caught:
        connect(datasource("d", type_, options)).test()
    assert caught.value.sqlstate == "HV00N"


@pytest.mark.parametrize(
    ("type_", "options", "package"),
    [
        ("bigquery", {"project": "x"}, "google.cloud"),
        ("snowflake", {"account": "x"}, "snowflake.connector"),
        ("redshift", {}, "psycopg"),
    ],
)
def test_a_missing_package_is_named(
    type_: str, options: dict[str, str], package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith(f"migration.connectors.{type_}")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(MigrationError, match=f"a {type_} datasource needs a package") as refusal:
        connect(datasource("s", type_, options))
    assert refusal.value.sqlstate == "HV000"
    assert refusal.value.hint == f"pip install 'bough[{type_}]'"


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", "WITH d AS (DELETE FROM t RETURNING *) SELECT * FROM d"),
        ("duckdb", "SELECT '\\' AS a; DROP TABLE t; --"),
        ("postgres", "SELECT '\\' AS a; COMMIT; DROP TABLE t; --"),
        ("sqlite", "SELECT '\\' AS a; DROP TABLE t; --"),
        ("postgres", "SELECT * INTO x FROM t"),
        ("postgres", "SELECT * FROM t FOR UPDATE"),
        ("postgres", "EXPLAIN ANALYZE DELETE FROM t"),
        ("postgres", "SELECT pg_terminate_backend(1)"),
        ("postgres", "SELECT pg_stat_reset()"),
        ("postgres", "SELECT pg_try_advisory_lock(1)"),
        ("postgres", "SELECT gin_clean_pending_list('i')"),
        ("duckdb", "SELECT * FROM enable_logging()"),
        ("mysql", "SELECT SLEEP(100)"),
        ("postgres", "COPY t TO PROGRAM 'x'"),
        ("mysql", "SELECT 1 INTO OUTFILE '/tmp/x'"),
        ("mysql", "SELECT 1 /*! INTO OUTFILE '/tmp/x' */"),
        ("mysql", "SELECT * FROM t FOR UPDATE"),
        ("mysql", "SELECT LOAD_FILE('/etc/passwd')"),
        ("mysql", "CALL p()"),
        ("duckdb", "PRAGMA enable_profiling"),
        ("duckdb", "SELECT * FROM read_csv('/etc/passwd')"),
        ("duckdb", "COPY t TO 'x'"),
        ("clickhouse", "SELECT * FROM url('http://x', 'CSV')"),
        ("sqlite", "SELECT load_extension('x')"),
        ("generic", ""),
    ],
)
def test_what_is_not_one_reading_statement_is_refused(dialect: str, text: str) -> None:
    with pytest.raises(MigrationError):
        check_query(text, dialect)


@pytest.mark.parametrize(
    ("dialect", "text"),
    [
        ("postgres", "VALUES (1)"),
        ("postgres", "SELECT 'DELETE FROM t; --'"),
        ("postgres", "SELECT pg_current_xact_id_if_assigned(), pg_stat_get_numscans(0), pg_size_pretty(1.0)"),
        ("mysql", "SELECT '\\'; DROP TABLE t; -- '"),
        ("duckdb", "FROM t"),
        ("sqlite", "WITH x AS (SELECT 1) SELECT * FROM x"),
        ("mysql", "SHOW TABLES"),
    ],
)
def test_what_reads_is_let_through(dialect: str, text: str) -> None:
    check_query(text, dialect)


def test_execute_takes_one_statement_and_no_transaction_control() -> None:
    assert check_statement("UPDATE t SET a = 1", "postgres") == "dml"
    assert check_statement("CREATE TABLE t (a int) DISTRIBUTED BY (a)", "greenplum") == "ddl"
    for dialect in ("postgres", "mysql", "duckdb", "sqlite"):
        with pytest.raises(MigrationError):
            check_statement("COMMIT", dialect)
        with pytest.raises(MigrationError):
            check_statement("DELETE FROM t; DELETE FROM u", dialect)


@pytest.mark.parametrize(
    ("type_", "options"),
    [
        ("duckdb", {"path": ":memory:"}),
        ("duckdb", {"path": ":memory:shared"}),
        ("duckdb", {"uri": "duckdb:///:memory:"}),
        ("sqlite", {"path": ":memory:"}),
        ("sqlalchemy", {"driver": "sqlite"}),
        ("sqlalchemy", {"uri": "sqlite:///:memory:"}),
    ],
)
def test_nothing_is_written_where_it_does_not_stay(type_: str, options: dict[str, str]) -> None:
    """Each command opens a database in memory of its own: rows would be verified, and gone."""
    connector = connect(datasource("m", type_, {**options, "role": "read_write"}))
    for write in (connector.writer, lambda: connector.execute("CREATE TABLE t (id INTEGER)")):
        with pytest.raises(MigrationError, match="in memory") as refusal:
            write()
        assert refusal.value.sqlstate == "0A000"
    with connector.reader() as reader:
        (batch,) = reader.read(Source(query="SELECT 1 AS one"))
        assert batch.to_pylist() == [{"one": 1}]
    connector.close()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("hello", "lists no datasources"),
        ("agent: hello", "agent holds no sections"),
        ("agent: {services: {datasources: hello}}", "no list of names"),
        ("agent: {services: {datasources: [{type: sqlite, path: x}]}}", "no list of names"),
        ("datasources: {a: hello}", "a in .* has no type"),
        (
            "datasources: {a: {type: sqlite, path: x}, b: {type: mysql, pasword: hunter22}}",
            "datasource b in .*pasword",
        ),
        ("datasources: {a: {type: sqlite, path: x}, b: {type: mysqll, host: h}}", "datasource b in .*mysqll"),
        ("datasources: {true: {type: sqlite, path: x}}", "no text as its name"),
        ("datasources: {a: {type: postgres, password: [hunter22]}}", "password holds one value"),
        ('datasources: {a: {type: postgres, password: "hunter22', "cannot read datasources"),
        ("datasources: {a: {type: postgres, password: 'hunter22${'}}", "not closed"),
        ("datasources: {a: {type: postgres, host: '${NO_HOST:-${OTHER}}'}}", "stands in another one"),
        ("datasources: {a: {type: postgres, port: '${HOME}'}}", "port is no number"),
        ("datasources: {a: {type: postgres, role: '${NO_ROLE}'}}", "NO_ROLE is not set"),
    ],
)
def test_a_file_is_refused_with_what_is_wrong_in_it(tmp_path: Path, content: str, message: str) -> None:
    """And what is wrong is not quoted: it may hold a password."""
    path = tmp_path / "agent.yml"
    path.write_text(content)
    with pytest.raises(MigrationError, match=message) as refusal:
        Datasources(from_agent_file(path)).check()
    assert "hunter22" not in f"{refusal.value.message} {refusal.value.detail} {refusal.value.hint}"


def test_a_plain_list_of_datasources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Names that YAML reads as numbers; placeholders in everything, the type and the role among it."""
    path = tmp_path / "datasources.yml"
    monkeypatch.setenv("KIND", "postgresql")
    monkeypatch.setenv("ROLE", "read_write")
    path.write_text(
        "datasources:\n  2024:\n    type: ${KIND}\n    host: h\n    role: ${ROLE}\n"
        "    connect_timeout: ${NO_TIMEOUT:-7s}\n"
    )
    (found,) = from_agent_file(path)
    assert (found.name, found.type, found.role, found.connect_timeout) == (
        "2024",
        "postgres",
        "read_write",
        7.0,
    )
    path.write_text("")
    assert from_agent_file(path) == ()


def test_what_a_datasource_needs_is_loaded_ahead() -> None:
    """In a process that has loaded nothing of it yet; a kind whose package is missing stops no other."""
    text = textwrap.dedent("""
        import sys
        from migration.connectors import load_ahead
        from migration.datasources.datasource import datasource
        assert load_ahead([]) is None
        given = [datasource("a", "snowflake", {"account": "a", "user": "u"}), datasource("b", "sqlite", {"path": "/b"})]
        sys.modules["snowflake"] = None
        assert "migration.connectors.sqlite" not in sys.modules
        load_ahead(given).join()
        assert "migration.connectors.sqlite" in sys.modules
    """)
    subprocess.run([sys.executable, "-c", text], check=True, cwd=Path(__file__).parents[2])
