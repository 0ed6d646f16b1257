"""How fast a whole transfer is (staged, verified at L2, published) against the usual ways to move the same rows.

    python bench/transfer.py [--rows 1200000] [--rounds 5] [--only there|back|maria|served]

Needs a PostgreSQL server binary (and MariaDB's for ``maria``); starts servers of its own. Every way runs in a
process of its own, one after the other, for several rounds: read the ratios of the medians, not the seconds. A
peer that is not installed (adbc-driver-postgresql, pgloader, sling) is left out and said.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import importlib.util
import multiprocessing
import os
import queue
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[:1] = [str(ROOT), str(ROOT / "tests" / "migration")]  # this file has a name of its package

import duckdb  # noqa: E402
import psycopg  # noqa: E402
from servers import Server, mariadb_server, postgres_server  # noqa: E402

from migration.connectors import connect  # noqa: E402
from migration.connectors.base import Connector, Source  # noqa: E402
from migration.datasources.datasource import datasource  # noqa: E402
from migration.transfer.plan import plan  # noqa: E402
from migration.transfer.run import run  # noqa: E402
from migration.transfer_model import Progress, TransferRequest  # noqa: E402

CREATE = (
    "CREATE TABLE {name} (id bigint, n integer, d double precision, s text, t text, m numeric(18,4), "
    "seen timestamp, day date)"
)
COLUMNS = "id, n, d, s, t, m, seen, day"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the rows are, and where they go."""

    file: str
    rows: int
    server: Server
    maria: Server | None = None

    @property
    def conninfo(self) -> str:
        return f"host={self.server.host} port={self.server.port} user={self.server.user} dbname={self.server.database}"

    @property
    def uri(self) -> str:
        return f"postgresql://{self.server.user}@{self.server.host}:{self.server.port}/{self.server.database}"

    def duck(self, file: str | None = None) -> Connector:
        return connect(datasource("duck", "duckdb", {"path": file or self.file, "role": "read_write"}))

    def postgres(self) -> Connector:
        return connect(datasource("pg", "postgres", {**self.server.options, "role": "read_write"}))


def fill(file: str, rows: int) -> None:
    """1.2 M rows of the usual types, with NULLs and texts beyond ASCII."""
    with duckdb.connect(file) as connection:
        connection.execute(
            "CREATE TABLE t AS SELECT 9007199254740993 + i AS id, "
            "CASE WHEN i % 7 = 0 THEN NULL ELSE (i % 100000)::INTEGER END AS n, i / 3.0::DOUBLE AS d, "
            "'name ' || i AS s, CASE WHEN i % 5 = 0 THEN NULL ELSE 'täg ' || (i % 1000) END AS t, "
            "(i % 1000000 + 0.125)::DECIMAL(18,4) AS m, "
            "TIMESTAMP '2020-01-01' + INTERVAL (i) SECOND AS seen, DATE '2020-01-01' + (i % 3650)::INTEGER AS day "
            f"FROM range({rows}) AS r(i)"
        )


# -- DuckDB -> PostgreSQL ---------------------------------------------------------------------------------------------


def there_bough(place: Place) -> list[Progress]:
    phases: list[Progress] = []
    request = TransferRequest(Source(path=("main", "t")), ("public", "out"))
    run(plan(request, place.duck(), place.postgres()), progress=phases.append)
    return phases


def there_copy_text(place: Place) -> None:
    with duckdb.connect(place.file) as source, psycopg.connect(place.conninfo) as target:
        target.execute(CREATE.format(name="loop").encode())
        cursor = source.execute("SELECT * FROM t")
        with target.cursor().copy("COPY loop FROM STDIN") as copy:
            while rows := cursor.fetchmany(10_000):
                for row in rows:
                    copy.write_row(row)


def there_adbc(place: Place) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    with duckdb.connect(place.file) as source, adbc.connect(place.uri) as target:
        with target.cursor() as cursor:
            cursor.adbc_ingest(
                "ingested", source.sql("SELECT * FROM t").to_arrow_reader(65_536), mode="create"
            )
        target.commit()


def there_pgpq(place: Place) -> None:
    from pgpq import ArrowToPostgresBinaryEncoder

    projection = (
        "SELECT id, n, d, s, t, m, epoch_us(seen) - 946684800000000 AS seen, "
        "(day - DATE '2000-01-01')::INTEGER AS day FROM t"
    )
    with duckdb.connect(place.file) as source, psycopg.connect(place.conninfo) as target:
        target.execute(CREATE.format(name="bare").encode())
        reader = source.sql(projection).to_arrow_reader(65_536)
        encoder = ArrowToPostgresBinaryEncoder(reader.schema)
        with target.cursor().copy("COPY bare FROM STDIN (FORMAT binary)") as copy:
            copy.write(encoder.write_header())
            for batch in reader:
                copy.write(encoder.write_batch(batch))
            copy.write(encoder.finish())


# -- PostgreSQL -> DuckDB ---------------------------------------------------------------------------------------------


def back_bough(place: Place) -> list[Progress]:
    phases: list[Progress] = []
    request = TransferRequest(Source(path=("public", "given")), ("main", "back"))
    run(plan(request, place.postgres(), place.duck(_fresh(place))), progress=phases.append)
    return phases


def back_fetchall(place: Place) -> None:
    import pandas

    with psycopg.connect(place.conninfo) as source, duckdb.connect(_fresh(place)) as target:
        cursor = source.execute(f"SELECT {COLUMNS} FROM given".encode())
        names = [column.name for column in cursor.description or ()]
        frame = pandas.DataFrame(cursor.fetchall(), columns=names)
        target.execute(CREATE.format(name="back"))
        target.register("frame", frame)
        target.execute("INSERT INTO back SELECT * FROM frame")


def back_adbc(place: Place) -> None:
    import adbc_driver_postgresql.dbapi as adbc

    # Without the cast ADBC makes texts of numerics itself, and is slower.
    with adbc.connect(place.uri) as source, duckdb.connect(_fresh(place)) as target:
        target.execute(CREATE.format(name="back"))
        with source.cursor() as cursor:
            cursor.execute("SELECT id, n, d, s, t, m::text AS m, seen, day FROM given")
            target.register("given", cursor.fetch_record_batch())
            target.execute("INSERT INTO back SELECT * FROM given")


def _fresh(place: Place) -> str:
    return str(Path(place.file).parent / f"back-{os.getpid()}.duckdb")


# -- MariaDB -> PostgreSQL --------------------------------------------------------------------------------------------


def maria_bough(place: Place) -> list[Progress]:
    assert place.maria is not None
    phases: list[Progress] = []
    source = connect(datasource("maria", "mysql", place.maria.options))
    request = TransferRequest(Source(path=("bough", "t")), ("public", "from_maria"))
    run(plan(request, source, place.postgres()), progress=phases.append)
    return phases


def maria_pgloader(place: Place) -> None:
    assert place.maria is not None
    maria = place.maria
    load = Path(place.file).parent / "t.load"
    load.write_text(
        f"LOAD DATABASE FROM mysql://peer:peer@{maria.host}:{maria.port}"
        f"/{maria.database} INTO {place.uri} WITH include drop, create tables;\n"
    )
    _command("pgloader", "--on-error-stop", str(load))


def maria_sling(place: Place) -> None:
    assert place.maria is not None
    maria = place.maria
    _command(
        "sling", "run",
        "--src-conn", f"mysql://peer:peer@{maria.host}:{maria.port}/{maria.database}",
        "--src-stream", f"{maria.database}.t",
        "--tgt-conn", f"{place.uri}?sslmode=disable", "--tgt-object", "public.from_sling", "--mode", "full-refresh",
    )  # fmt: skip


def _command(*words: str) -> None:
    done = subprocess.run(words, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{words[0]} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def fill_maria(place: Place) -> None:
    """The same table, read from a file by the server."""
    import pymysql

    assert place.maria is not None
    maria, text = place.maria, Path(place.file).parent / "t.csv"
    with duckdb.connect(place.file) as source:
        source.execute(f"COPY t TO '{text}' (HEADER false, NULLSTR '\\N', QUOTE '\"', FORCE_QUOTE (s))")
    connection = pymysql.connect(
        host=maria.host, port=maria.port, user=maria.user, password=maria.password, database=maria.database,
        local_infile=True, charset="utf8mb4",
    )  # fmt: skip
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE t (id bigint NOT NULL, n int, d double, s varchar(100), t varchar(100), m decimal(18,4), "
            "seen datetime, day date) CHARACTER SET utf8mb4"
        )
        cursor.execute(
            f"LOAD DATA LOCAL INFILE '{text}' INTO TABLE t CHARACTER SET utf8mb4 "
            "FIELDS TERMINATED BY ',' OPTIONALLY ENCLOSED BY '\"' LINES TERMINATED BY '\\n'"
        )
        connection.commit()
    text.unlink()


# -- measuring --------------------------------------------------------------------------------------------------------


def _memory(pid: int | str = "self") -> int:
    """Resident megabytes."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) >> 10
    return 0


@contextmanager
def _watched(pid: int | str = "self") -> Iterator[list[int]]:
    """Collects how much memory is held above the start, every 20 ms."""
    idle, found, over = _memory(pid), [0], threading.Event()

    def watch() -> None:
        while not over.wait(0.02):
            found.append(_memory(pid) - idle)

    thread = threading.Thread(target=watch)
    thread.start()
    try:
        yield found
    finally:
        over.set()
        thread.join()


_IMPORTED = (
    "migration.connectors.duckdb", "migration.connectors.postgres", "migration.connectors.mysql_writer",
    "adbc_driver_postgresql.dbapi", "pgpq", "pandas",
)  # fmt: skip


def _child(way: Callable[[Place], Any], place: Place, answers: Any) -> None:
    try:
        for module in _IMPORTED:  # a server has them; the peers' are not counted either
            if importlib.util.find_spec(module.partition(".")[0]) is not None:
                importlib.import_module(module)
        with _watched() as held:
            before = time.perf_counter()
            phases = way(place)
            seconds = time.perf_counter() - before
        answers.put((seconds, max(held), phases or [], None))
    except BaseException as error:
        answers.put((0.0, 0, [], f"{type(error).__name__}: {error}"))


def once(way: Callable[[Place], Any], place: Place) -> tuple[float, int, list[Progress]]:
    """One run in a process of its own: seconds, megabytes above idle, and its phases."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=_child, args=(way, place, answers))
    process.start()
    while True:
        try:
            seconds, held, phases, error = answers.get(timeout=1)
            break
        except queue.Empty:
            if not process.is_alive():
                raise RuntimeError(f"a run ended with status {process.exitcode} and no answer") from None
    process.join()
    if error is not None:
        raise RuntimeError(error)
    return seconds, held, phases


def compare(
    title: str,
    place: Place,
    ways: dict[str, Callable[[Place], Any]],
    rounds: int,
    drop: str,
) -> None:
    """All ways in turn, several times; medians, and each as a multiple of the first."""
    print(f"{title}: {place.rows} rows x 8 columns, {rounds} rounds", flush=True)
    seconds: dict[str, list[float]] = {label: [] for label in ways}
    held = dict.fromkeys(ways, 0)
    steps: list[Progress] = []
    for _ in range(rounds):
        for label, way in ways.items():
            with psycopg.connect(place.conninfo, autocommit=True) as connection:
                for table in drop.split():
                    connection.execute(f"DROP TABLE IF EXISTS {table}".encode())
                connection.execute("CHECKPOINT")
            for old in Path(place.file).parent.glob("back-*"):
                old.unlink()
            taken, most, phases = once(way, place)
            seconds[label].append(taken)
            held[label] = max(held[label], most)
            steps = phases or steps
    first = next(iter(ways))
    for label, found in seconds.items():
        ratio = statistics.median(a / b for a, b in zip(found, seconds[first], strict=True))
        print(
            f"  {label:<44} {statistics.median(found):6.2f} s (best {min(found):5.2f})  "
            f"{ratio:5.2f} of bough's time   {held[label]:5} MB above idle"
        )
    marks = [f"{item.phase} from {item.seconds:.2f} s" for item in steps]
    print(f"  bough's last run: {', '.join(dict.fromkeys(marks))}", flush=True)


def served(place: Place, rounds: int) -> None:
    """The same transfer by TRANSFER, while another session asks SELECT 1; beside it, what the machine alone does to
    SELECT 1 while nothing moves, and while bare pgpq and COPY move the rows in another process."""
    from proxy.cli.demo import temporary_server

    print(f"TRANSFER through the server: {place.rows} rows, another session asks SELECT 1", flush=True)
    with temporary_server() as port:
        conninfo = f"host=127.0.0.1 port={port} user=bench dbname=main"
        options = ", ".join(f"{key} '{value}'" for key, value in place.server.options.items())
        with psycopg.connect(conninfo, autocommit=True) as session:
            session.execute(
                f"CREATE DATASOURCE pg TYPE postgres OPTIONS ({options}, role 'read_write')".encode()
            )
            session.execute(f"CREATE DATASOURCE duck TYPE duckdb OPTIONS (path '{place.file}')".encode())
            server = _listener(port)
            session.execute("TRANSFER duck.main.t TO local.public.t")

            def bare() -> None:
                with psycopg.connect(place.conninfo, autocommit=True) as connection:
                    connection.execute("DROP TABLE IF EXISTS bare")
                once(there_pgpq, place)

            ways: dict[str, Callable[[], object]] = {
                "nothing": lambda: time.sleep(3),
                "pgpq + COPY beside the server": bare,
            }
            for label, statement in {
                "DuckDB file -> PostgreSQL": "TRANSFER duck.main.t TO pg.public.out",
                "branch -> PostgreSQL": "TRANSFER t TO pg.public.out",
                "PostgreSQL -> branch": "TRANSFER pg.public.given TO local.public.back",
            }.items():
                ways[label] = functools.partial(session.execute, statement.encode())
            for label, work in ways.items():
                for _ in range(rounds):
                    print(f"  {label:<30} {_observed(conninfo, server, work)}", flush=True)


def _observed(conninfo: str, server: int, work: Callable[[], object]) -> str:
    """What another session and the server's memory are like while ``work`` is done."""
    over = threading.Event()
    waits: list[float] = []
    asker = threading.Thread(target=_ask, args=(conninfo, over, waits))
    with _watched(server) as held:
        asker.start()
        before = time.perf_counter()
        work()
        seconds = time.perf_counter() - before
        over.set()
        asker.join()
    waits.sort()
    p50, p99, most = (waits[min(int(len(waits) * part), len(waits) - 1)] * 1000 for part in (0.5, 0.99, 1))
    return (
        f"{seconds:6.2f} s   SELECT 1: {len(waits)} times, p50 {p50:.1f} ms, p99 {p99:.1f} ms, most {most:.1f} ms"
        f"   {max(held)} MB above idle"
    )


def _ask(conninfo: str, over: threading.Event, waits: list[float]) -> None:
    with psycopg.connect(conninfo, autocommit=True) as session:
        while not over.wait(0.002):
            before = time.perf_counter()
            session.execute("SELECT 1")
            waits.append(time.perf_counter() - before)


def _listener(port: int) -> int:
    """The process that listens on a port."""
    wanted = f":{port:04X}"
    inodes = {
        line.split()[9]
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if line.split()[1].endswith(wanted) and line.split()[3] == "0A"
    }
    for entry in Path("/proc").glob("[0-9]*/fd/*"):
        try:
            target = str(entry.readlink())
        except OSError:
            continue
        if target.removeprefix("socket:[").removesuffix("]") in inodes:
            return int(entry.parts[2])
    raise RuntimeError(f"nobody listens on {port}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", choices=("there", "back", "maria", "served"))
    given = parser.parse_args()
    asked = {given.only} if given.only else {"there", "back", "maria", "served"}
    adbc = importlib.util.find_spec("adbc_driver_postgresql") is not None
    if not adbc:
        print("adbc-driver-postgresql is not installed: left out")
    with tempfile.TemporaryDirectory(prefix="bough-bench-") as home, postgres_server() as server:
        place = Place(str(Path(home) / "a.duckdb"), given.rows, server)
        fill(place.file, given.rows)
        if "there" in asked:
            ways: dict[str, Callable[[Place], Any]] = {"bough: staged, verified L2, published": there_bough}
            ways["psycopg COPY text, row by row"] = there_copy_text
            if adbc:
                ways["ADBC ingest, no staging, no check"] = there_adbc
            ways["pgpq + COPY, no staging, no check"] = there_pgpq
            compare("DuckDB -> PostgreSQL", place, ways, given.rounds, "out loop ingested bare")
        if asked & {"back", "served"}:
            there_pgpq(place)
            with psycopg.connect(place.conninfo, autocommit=True) as connection:
                connection.execute("ALTER TABLE bare RENAME TO given")
                connection.execute("VACUUM (ANALYZE) given")
        if "back" in asked:
            ways = {"bough: staged, verified L2, published": back_bough}
            ways["fetchall + pandas, INSERT"] = back_fetchall
            if adbc:
                ways["ADBC (numeric::text), INSERT"] = back_adbc
            compare("PostgreSQL -> DuckDB", place, ways, given.rounds, "")
        if "served" in asked:
            served(place, given.rounds)
        if "maria" in asked:
            with mariadb_server() as maria:
                place = Place(place.file, given.rows, server, maria)
                fill_maria(place)
                ways = {"bough: staged, verified L2, published": maria_bough}
                for name, way in (("pgloader", maria_pgloader), ("sling", maria_sling)):
                    if shutil.which(name):
                        ways[name] = way
                    else:
                        print(f"{name} is not installed: left out")
                compare("MariaDB -> PostgreSQL", place, ways, given.rounds, "from_maria from_sling bough.t")
    return 0


if __name__ == "__main__":
    sys.exit(main())
