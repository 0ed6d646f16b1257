"""How fast a whole transfer is: staged, verified at L2, published; against the usual ways to move the same rows.

    python bench/transfer.py [rows]

Needs a PostgreSQL server binary and psycopg; starts a server of its own. Every way is run once after the other, so
read the ratios, not the seconds.
"""

from __future__ import annotations

import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import psycopg

sys.path[:0] = [str(Path(__file__).parents[1]), str(Path(__file__).parents[1] / "tests" / "migration")]

from servers import postgres_server  # noqa: E402

from migration.connectors import connect  # noqa: E402
from migration.connectors.base import Source  # noqa: E402
from migration.datasources import datasource  # noqa: E402
from migration.plan import plan  # noqa: E402
from migration.transfer import run  # noqa: E402
from migration.transfer_model import Progress, TransferRequest  # noqa: E402

ROWS = int(sys.argv[1]) if len(sys.argv) > 1 else 1_200_000
CREATE = (
    "CREATE TABLE {name} (id bigint, n integer, d double precision, s text, t text, m numeric(18,4), "
    "seen timestamp, day date)"
)


def fill(file: Path) -> None:
    with duckdb.connect(str(file)) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 9007199254740993 + i AS id, "
            "CASE WHEN i % 7 = 0 THEN NULL ELSE (i % 100000)::INTEGER END AS n, i / 3.0::DOUBLE AS d, "
            "'name ' || i AS s, CASE WHEN i % 5 = 0 THEN NULL ELSE 'täg ' || (i % 1000) END AS t, "
            "(i % 1000000)::DECIMAL(18,4) / 8::DECIMAL(18,4) AS m0, (i % 1000000 + 0.125)::DECIMAL(18,4) AS m, "
            "TIMESTAMP '2020-01-01' + INTERVAL (i) SECOND AS seen, DATE '2020-01-01' + (i % 3650)::INTEGER AS day "
            f"FROM range({ROWS}) AS r(i)"
        )
        connection.execute("ALTER TABLE t DROP COLUMN m0")


def timed(label: str, work: Callable[[], Any], rows: int = ROWS) -> float:
    before = time.perf_counter()
    work()
    seconds = (time.perf_counter() - before) * ROWS / rows
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(
        f"{label:<46} {seconds:7.2f} s   {ROWS / seconds / 1000:8.0f} k rows/s   peak {peak} MB", flush=True
    )
    return seconds


def main() -> None:
    with tempfile.TemporaryDirectory() as home, postgres_server() as server:
        file = Path(home) / "a.duckdb"
        fill(file)
        conninfo = f"host={server.host} port={server.port} user={server.user} dbname={server.database}"
        duck = connect(datasource("duck", "duckdb", {"path": str(file), "role": "read_write"}))
        options = {
            "host": server.host,
            "port": str(server.port),
            "user": server.user,
            "database": server.database,
        }
        pg = connect(datasource("pg", "postgres", {**options, "role": "read_write"}))
        out = TransferRequest(Source(path=("main", "t")), ("public", "out"))
        back = TransferRequest(Source(path=("public", "out")), ("main", "back"))
        phases: list[Progress] = []

        def there() -> None:
            run(plan(out, duck, pg), progress=phases.append)

        def and_back() -> None:
            run(plan(back, pg, duck), progress=phases.append)

        print(f"{ROWS} rows x 8 columns, DuckDB -> PostgreSQL")
        ours = timed("bough: staged, verified L2, published", there)
        for item in phases:
            print(f"    {item.phase:<10} from {item.seconds:5.2f} s")
        phases.clear()
        loop = timed("psycopg COPY text, row by row", lambda: copy_rows(file, conninfo))
        print(f"    bough is {loop / ours:.1f} times as fast")
        bare = timed("bare pgpq + COPY, no staging, no check", lambda: bare_pgpq(file, conninfo))
        print(f"    bough takes {ours / bare:.2f} times as long")
        print("PostgreSQL -> DuckDB")
        ours = timed("bough: staged, verified L2, published", and_back)
        for item in phases:
            print(f"    {item.phase:<10} from {item.seconds:5.2f} s")
        small = min(ROWS, 200_000)
        loop = timed(
            "fetchall + pandas (scaled from fewer rows)", lambda: fetchall(home, conninfo, small), small
        )
        print(f"    bough is {loop / ours:.1f} times as fast")


def copy_rows(file: Path, conninfo: str) -> None:
    with duckdb.connect(str(file)) as source, psycopg.connect(conninfo) as target:
        target.execute(CREATE.format(name="loop").encode())
        cursor = source.execute("SELECT * FROM t")
        with target.cursor().copy("COPY loop FROM STDIN") as copy:
            while rows := cursor.fetchmany(10_000):
                for row in rows:
                    copy.write_row(row)


def bare_pgpq(file: Path, conninfo: str) -> None:
    from pgpq import ArrowToPostgresBinaryEncoder

    projection = (
        "SELECT id, n, d, s, t, m, epoch_us(seen) - 946684800000000 AS seen, (day - DATE '2000-01-01')::INTEGER AS day "
        "FROM t"
    )
    with duckdb.connect(str(file)) as source, psycopg.connect(conninfo) as target:
        target.execute(CREATE.format(name="bare").encode())
        reader = source.sql(projection).to_arrow_reader(65_536)
        encoder = ArrowToPostgresBinaryEncoder(reader.schema)
        with target.cursor().copy("COPY bare FROM STDIN (FORMAT binary)") as copy:
            copy.write(encoder.write_header())
            for batch in reader:
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())


def fetchall(home: str, conninfo: str, rows: int) -> None:
    import pandas

    with psycopg.connect(conninfo) as source, duckdb.connect(str(Path(home) / "p.duckdb")) as target:
        cursor = source.execute(f"SELECT * FROM out LIMIT {rows}".encode())
        frame = pandas.DataFrame(
            cursor.fetchall(), columns=[column.name for column in cursor.description or ()]
        )
        target.register("frame", frame)
        target.execute("CREATE TABLE back AS SELECT * FROM frame")


if __name__ == "__main__":
    main()
