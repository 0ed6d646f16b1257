"""What a client sees: COPY, one-row INSERTs, forks and reads over a socket, against DuckDB in this process.

The client, its driver and the server share the machine, so these ratios hold the price of the wire as well. ``copies``
also loads the same rows through the library, without one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import duckdb
import psycopg
import pyarrow.csv
import sqlglot

from bench.measure import AGGREGATE, FILL, SHAPE, Line, database, median, pair, plain_copy
from proxy.cli.demo import temporary_server

_PIECE = 1 << 16
_names = iter(range(10**9))


def _connect(port: int) -> psycopg.Connection[tuple[object, ...]]:
    return psycopg.connect(host="127.0.0.1", port=port, user="bench", dbname="main", autocommit=True)


def _csv(directory: Path, rows: int) -> Path:
    path = directory / "rows.csv"
    duckdb.connect().execute(f"COPY ({FILL.format(rows=rows)}) TO '{path}' (HEADER false)")
    return path


def copies(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    """The same CSV into an empty table with a key."""
    rows //= 3
    path = _csv(directory, rows)
    plain = duckdb.connect(str(directory / "copied.duckdb"))
    plain.execute(f"CREATE TABLE big {SHAPE}")

    def native() -> None:
        plain.execute("TRUNCATE big")
        plain.execute(f"COPY big FROM '{path}' (HEADER false)")

    with temporary_server() as port, _connect(port) as client:
        client.execute(f"CREATE TABLE big {SHAPE}")

        def over_the_wire() -> None:
            client.execute("TRUNCATE big")
            command = "COPY big FROM STDIN (FORMAT csv)"
            with client.cursor() as cursor, cursor.copy(command) as copy, path.open("rb") as file:
                while data := file.read(_PIECE):
                    copy.write(data)

        yield Line(f"COPY of {rows} rows over a socket / DuckDB's", pair(over_the_wire, native, 5), "x", 1.3)
    with database(directory) as opened:
        main = opened.connect()
        names = ["id", "g", "v", "s"]
        main.execute(sqlglot.parse_one(f"CREATE TABLE big {SHAPE}", dialect="duckdb"))
        empty = sqlglot.parse_one("DELETE FROM big", dialect="duckdb")
        insert = sqlglot.parse_one("INSERT INTO big SELECT * FROM rows", dialect="duckdb")
        for table in insert.expression.find_all(sqlglot.exp.Table):
            table.meta["physical"] = True

        def through_the_library() -> None:
            main.execute(empty)
            read = pyarrow.csv.ReadOptions(column_names=names)
            main.sources = {"rows": pyarrow.csv.read_csv(path, read)}
            main.execute(insert)
            main.sources = {}

        yield Line(
            f"{rows} rows of CSV through the library / DuckDB's COPY",
            pair(through_the_library, native, 5),
            "x",
            1.3,
        )
    plain.close()


def wire(directory: Path, rows: int, _count: int) -> Iterator[Line]:
    rows //= 3
    plain = plain_copy(directory, rows)
    with temporary_server() as port, _connect(port) as client, _connect(port) as other:
        client.execute(f"CREATE TABLE big {SHAPE}")
        client.execute(f"INSERT INTO big {FILL.format(rows=rows).replace('range(', 'range(0, ')}")

        def fork() -> None:
            client.execute(f"BRANCH CREATE w{next(_names)}")

        yield Line("fork over a socket, p50", median(fork, 50) * 1000, "ms", 10)
        keys = iter(range(10**8, 10**9))
        add = "INSERT INTO big VALUES (%s, 1, 2, 'x')"
        native = "INSERT INTO big VALUES ($1, 1, 2, 'x')"
        yield Line(
            "one-row autocommit INSERT over a socket / DuckDB in process",
            pair(
                lambda: client.execute(add, (next(keys),)),
                lambda: plain.execute(native, [next(keys)]).fetchall(),
                300,
            ), "x", None,
        )  # fmt: skip
        branch = f"w{next(_names)}"
        other.execute(f"BRANCH CREATE {branch}")
        other.execute(f"BRANCH SWITCH {branch}")
        other.execute(f"UPDATE big SET v = v + 1 WHERE id % {rows // 1000} = 0")

        def point(session: psycopg.Connection[tuple[object, ...]]) -> Callable[[], object]:
            return lambda: session.execute("SELECT * FROM big WHERE id = %s", (rows // 2,)).fetchall()

        def aggregate(session: psycopg.Connection[tuple[object, ...]]) -> Callable[[], object]:
            return lambda: session.execute(AGGREGATE).fetchall()

        yield Line(
            "over a socket: aggregate on a branch with 1,000 changed rows / main",
            pair(aggregate(other), aggregate(client)), "x", 2.8,
        )  # fmt: skip
        yield Line("over a socket: point read on it / main", pair(point(other), point(client), 100), "x", 4)
    plain.close()
