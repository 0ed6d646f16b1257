"""Conditions on tables of datasources where engines read constants, and compare texts, each in its own way."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import duckdb
import psycopg
import pymysql
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

_TEXTS = ("", "a", "A", "a ", "b", "B", "é", "É", "ő", "😀", "z")
_NUMBERS = (9007199254740993, -9223372036854775808, 9223372036854775807, 0)
_SMALL = ("0.000000100000000000000000000001", "0.000000100000000000000000000000", "1.5", "-1.5")
_ROWS = [
    (number, text, text if text.isascii() or text in "éÉ" else None, _NUMBERS[number % 4], _SMALL[number % 4])
    for number, text in enumerate(_TEXTS)
]
_COLUMNS = "k integer, t {text}, l {narrow}, b bigint, w {exact}"


def _value(value: object) -> str:
    return "NULL" if value is None else f"'{value}'" if isinstance(value, str) else str(value)


def _insert(table: str) -> str:
    return f"INSERT INTO {table} VALUES " + ", ".join(f"({', '.join(map(_value, row))})" for row in _ROWS)


@pytest.fixture(scope="module")
def client(server: ThreadServer) -> Iterator[psycopg.Connection[Any]]:
    with server.connect() as connection:
        connection.execute(
            "CREATE TABLE edges (" + _COLUMNS.format(text="text", narrow="text", exact="numeric(38,30)") + ")"
        )
        connection.execute(_insert("edges"))  # type: ignore[arg-type]
        yield connection


def _on_postgres(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    server = request.getfixturevalue("postgres")
    names = {"host": server.host, "port": server.port, "user": server.user, "dbname": server.database}
    with psycopg.connect(**names, autocommit=True) as made:
        made.execute(
            "CREATE COLLATION folded (provider = icu, locale = 'und-u-ks-level1', deterministic = false)"
        )
        columns = _COLUMNS.format(text="text COLLATE folded", narrow="text", exact="numeric")
        made.execute(f"CREATE TABLE edges ({columns})")  # type: ignore[arg-type]
        made.execute(_insert("edges"))  # type: ignore[arg-type]
    client.execute(
        f"CREATE DATASOURCE e_postgres TYPE postgres OPTIONS (host '{server.host}', port '{server.port}',"
        f" user '{server.user}', database '{server.database}')"  # type: ignore[arg-type]
    )
    return "e_postgres.public"


def _on_mariadb(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    server = request.getfixturevalue("mariadb")
    with pymysql.connect(
        host=server.host, port=server.port, user=server.user, password=server.password, autocommit=True
    ) as made:
        cursor = made.cursor()
        cursor.execute("CREATE DATABASE edges")
        cursor.execute("USE edges")
        columns = _COLUMNS.format(
            text="varchar(9) CHARACTER SET utf8mb4",
            narrow="varchar(9) CHARACTER SET latin1",
            exact="decimal(38,30)",
        )
        cursor.execute(f"CREATE TABLE edges ({columns})")
        cursor.execute(_insert("edges"))
    client.execute(
        f"CREATE DATASOURCE e_mysql TYPE mysql OPTIONS (host '{server.host}', port '{server.port}',"
        f" user '{server.user}', password '{server.password}', database 'edges')"  # type: ignore[arg-type]
    )
    return "e_mysql.edges"


def _on_clickhouse(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    server = request.getfixturevalue("clickhouse")
    client.execute(
        f"CREATE DATASOURCE e_clickhouse TYPE clickhouse OPTIONS (host '{server.host}', port '{server.port}',"
        f" user '{server.user}', password '{server.password}', database 'default', role 'read_write')"  # type: ignore[arg-type]
    )
    columns = "k Int32, t Nullable(String), l Nullable(String), b Int64, w Decimal(38, 30)"
    for text in (
        f"CREATE TABLE edges ({columns}) ENGINE = MergeTree ORDER BY k",
        _insert("edges").replace("INTO edges", "INTO default.edges"),
    ):
        client.execute(f"EXECUTE ON e_clickhouse AS $$ {text} $$")  # type: ignore[arg-type]
    return "e_clickhouse.default"


def _on_duckdb(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    file = request.getfixturevalue("tmp_path_factory").mktemp("edges") / "edges.duckdb"
    with duckdb.connect(str(file)) as made:
        columns = _COLUMNS.format(
            text="varchar COLLATE nocase", narrow="varchar COLLATE noaccent", exact="decimal(38,30)"
        )
        made.execute(f"CREATE TABLE edges ({columns})")
        made.execute(_insert("edges"))
    client.execute(f"CREATE DATASOURCE e_duckdb TYPE duckdb OPTIONS (path '{file}')")  # type: ignore[arg-type]
    return "e_duckdb.main"


def _on_sqlite(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    file = request.getfixturevalue("tmp_path_factory").mktemp("edges") / "edges.sqlite"
    with closing(sqlite3.connect(file)) as made, made:
        columns = _COLUMNS.format(
            text="text COLLATE NOCASE", narrow="text COLLATE RTRIM", exact="decimal(38,30)"
        )
        made.execute(f"CREATE TABLE edges ({columns})")
        made.execute(_insert("edges").replace("000000000000000000000000)", ")"))
    client.execute(f"CREATE DATASOURCE e_sqlite TYPE sqlite OPTIONS (path '{file}')")  # type: ignore[arg-type]
    return "e_sqlite.main"


_ENGINES = {
    "postgres": _on_postgres, "mariadb": _on_mariadb, "clickhouse": _on_clickhouse, "duckdb": _on_duckdb,
    "sqlite": _on_sqlite,
}  # fmt: skip


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("postgres", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
        pytest.param("clickhouse", marks=pytest.mark.clickhouse),
        "duckdb",
        "sqlite",
    ],
)
def there(request: pytest.FixtureRequest, client: psycopg.Connection[Any]) -> str:
    """``datasource.schema`` that holds ``edges``, one for each engine."""
    return _ENGINES[request.param](request, client)


def _same(client: psycopg.Connection[Any], there: str, query: str) -> None:
    here = client.execute(query.format(t="edges")).fetchall()  # type: ignore[arg-type]
    assert client.execute(query.format(t=f"{there}.edges")).fetchall() == here, query  # type: ignore[arg-type]


def test_numbers_are_compared_as_they_are_written(client: psycopg.Connection[Any], there: str) -> None:
    """Many an engine takes ``1E-7``, ``9007199254740993.0`` and what is longer than 64 bits for floats."""
    conditions = [
        "b = 9007199254740993.0",
        "b > -9223372036854775809",
        "b >= 9007199254740992.5",
        "b < 9223372036854775808",
        "b < 9007199254740993.5",
        "b IN (9007199254740993.0, 0.0)",
        "b = ANY (ARRAY[9007199254740993.0])",
    ]
    if "sqlite" not in there:  # which keeps decimals as floats
        conditions += ["w > 0.0000001", "w <> 0.0000001", "w BETWEEN 0.00000010000000000000000000001 AND 1"]
    for condition in conditions:
        _same(client, there, f"SELECT k FROM {{t}} WHERE {condition} ORDER BY k")


@pytest.mark.parametrize("column", ["t", "l"])
def test_texts_are_compared_by_their_letters(
    client: psycopg.Connection[Any], there: str, column: str
) -> None:
    """Whatever collation or character set the column has over there."""
    for operator in ("=", "<>", "<", "<=", ">", ">=", "LIKE", "NOT LIKE"):
        for text in _TEXTS:
            _same(client, there, f"SELECT k FROM {{t}} WHERE {column} {operator} '{text}' ORDER BY k")
    _same(client, there, f"SELECT k FROM {{t}} WHERE {column} IN ('A', '😀', 'ő') ORDER BY k")
    _same(client, there, f"SELECT k FROM {{t}} WHERE {column} = ANY (ARRAY['A', '😀', 'ő', NULL]) ORDER BY k")


def test_a_condition_means_the_columns_that_an_alias_names(
    client: psycopg.Connection[Any], there: str
) -> None:
    for query in (
        "SELECT k, b FROM {t} AS e (b, t, l, k) WHERE b > 5 ORDER BY 1",
        "SELECT b FROM {t} AS e (b, t, l, k) WHERE k = 0 AND e.b < 100 ORDER BY 1",
        "SELECT f.k FROM {t} AS e (n) JOIN {t} AS f (k) ON e.n = f.k AND f.k > 4 ORDER BY 1",
        "SELECT k FROM {t} AS e (n, k, m, o) WHERE n = 3 AND k = 'a '",
        "SELECT n FROM {t} AS e (n, k, m, o) WHERE o > 5 ORDER BY 1 LIMIT 2",
    ):
        _same(client, there, query)


@pytest.mark.postgres
def test_a_column_that_has_the_tables_name_is_not_read_for_it(
    client: psycopg.Connection[Any], postgres: Any
) -> None:
    """It may be one that cannot be read."""
    with psycopg.connect(
        host=postgres.host, port=postgres.port, user=postgres.user, dbname=postgres.database, autocommit=True
    ) as made:
        made.execute("CREATE TABLE owner (id int, owner oid); INSERT INTO owner VALUES (1, 2)")
    client.execute(
        f"CREATE DATASOURCE e_owner TYPE postgres OPTIONS (host '{postgres.host}', port '{postgres.port}',"
        f" user '{postgres.user}', database '{postgres.database}')"  # type: ignore[arg-type]
    )
    assert client.execute("SELECT id FROM e_owner.public.owner").fetchall() == [(1,)]
    with pytest.raises(psycopg.Error, match=r'column "owner" of .* has type oid'):
        client.execute("SELECT owner FROM e_owner.public.owner")


@pytest.mark.parametrize("condition", ["t > '0a'", "t < '5a'", "t >= '1.5'", "t LIKE '%e%'", "t = '5'"])
def test_a_text_column_of_sqlite_that_keeps_numbers_is_compared_by_its_texts(
    condition: str, client: psycopg.Connection[Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    file = tmp_path_factory.mktemp("strings") / "strings.sqlite"
    with closing(sqlite3.connect(file)) as made, made:
        made.execute("CREATE TABLE s (k integer, t STRING)")  # no CHAR or TEXT in it: '5' becomes the number
        made.execute(
            "INSERT INTO s VALUES (1, '5'), (2, 'abc'), (3, '1.50'), (4, '1e20'), (5, '01'), (6, NULL)"
        )
    client.execute(f"CREATE DATASOURCE strings TYPE sqlite OPTIONS (path '{file}')")  # type: ignore[arg-type]
    client.execute("CREATE TEMPORARY TABLE here AS SELECT * FROM strings.main.s")
    answers = [
        client.execute(f"SELECT k, t FROM {table} WHERE {condition} ORDER BY k").fetchall()  # type: ignore[arg-type]
        for table in ("here", "strings.main.s")
    ]
    client.execute("DROP TABLE here")
    client.execute("DROP DATASOURCE strings")
    assert answers[0] == answers[1]
    assert answers[0]
