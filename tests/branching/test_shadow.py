"""One query on several branches: one instant, errors kept apart, and comparing, against a model in Python."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
import sqlglot
from effort import examples
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sqlglot import exp

import branching
from branching import BoughError, Database, EngineError, branches, compare
from branching.ddl import model as d
from branching.engine.base import Cursor, ResultColumn
from branching.engine.duckdb import connect
from branching.shadow import Comparison
from branching.snapshot import Reading

pytestmark = pytest.mark.sampled


def sql(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, dialect="duckdb")


def run(database: Database, branch: str, *statements: str | d.Ddl) -> None:
    with closing(database.connect(branch)) as connection:
        for item in statements:
            connection.execute(sql(item) if isinstance(item, str) else item)


@pytest.fixture
def database() -> Iterator[Database]:
    opened = branching.open(":memory:")
    run(
        opened,
        "main",
        "CREATE TABLE t (i INTEGER PRIMARY KEY, x DOUBLE, s VARCHAR)",
        "INSERT INTO t SELECT i, i * 1.5, 'r' || i FROM range(100) AS r(i)",
    )
    for name in ("b", "c"):
        branches.create(opened, name, "main", role="me")
    yield opened
    opened.close()


@pytest.fixture
def compared(database: Database) -> Iterator[Callable[..., Comparison]]:
    """Makes comparisons on main and b, and ends them."""
    made: list[Comparison] = []

    def make(query: str, names: Sequence[str] = ("main", "b"), **more: Any) -> Comparison:
        made.append(Comparison(database, names, sql(query), **more))
        return made[-1]

    yield make
    for item in made:
        item.close()


def verdicts(comparison: Comparison) -> list[bool]:
    comparison.run()
    for answer in comparison.answers:
        comparison.fingerprint(answer)
    return [comparison.same(comparison.answers[0], answer) for answer in comparison.answers]


def rows_of(found: tuple[Any, Iterator[list[Any]]]) -> list[tuple[Any, ...]]:
    return [row for batch in found[1] for row in batch]


# -- one instant ------------------------------------------------------------------------------------------------------


def test_all_branches_are_seen_at_one_instant(database: Database) -> None:
    """A writer counts on main, then on b: at no instant is b ahead, or more than one behind."""
    for name in ("main", "b"):
        run(database, name, "UPDATE t SET x = 0 WHERE i = 1")
    stop = threading.Event()
    written = 0

    def write() -> None:
        nonlocal written
        with closing(database.connect("main")) as main, closing(database.connect("b")) as b:
            while not stop.is_set():
                written += 1
                for connection in (main, b):
                    connection.execute(sql(f"UPDATE t SET x = {written} WHERE i = 1"))

    writer = threading.Thread(target=write)
    writer.start()
    seen = set()
    try:
        while len(seen) < 60:
            comparison = Comparison(database, ("b", "main"), sql("SELECT max(x) FROM t WHERE i = 1"))
            with closing(comparison):
                comparison.run()
                (_, b), (_, main) = rows_of(comparison.rows())
            assert b <= main <= b + 1
            seen.add(main)
    finally:
        stop.set()
        writer.join()
    assert written >= 60


def test_an_instant_outlives_changes_and_the_branch(database: Database) -> None:
    comparison = Comparison(database, ("main", "b"), sql("SELECT count(*) FROM t"))
    with closing(comparison):
        comparison.bind()  # the instant
        run(database, "main", "DELETE FROM t WHERE i < 50")
        run(database, "b", "DELETE FROM t")
        branches.discard(database, "b")
        for answer in comparison.answers:
            assert comparison._asked(answer, answer.sql) == [(100,)]
        comparison.run()
        assert [answer.rows for answer in comparison.alive] == [0]
        assert rows_of(comparison.rows()) == [("main", 50)]
        gone = comparison.answers[1].error
        assert isinstance(gone, BoughError) and gone.sqlstate == "42704"


def test_schema_changes_beside_it_are_seen_whole_or_not_at_all(database: Database) -> None:
    stop = threading.Event()

    def change() -> None:
        with closing(database.connect("b")) as b:
            while not stop.is_set():
                b.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("s", "z"),)))
                b.execute(d.AlterTable(d.Name("t"), (d.RenameColumn("z", "s"),)))

    changer = threading.Thread(target=change)
    changer.start()
    outcomes: Counter[str] = Counter()
    try:
        while len(outcomes) < 2 or sum(outcomes.values()) < 60:
            with closing(Comparison(database, ("main", "b"), sql("SELECT s FROM t"))) as comparison:
                try:
                    comparison.run()
                except BoughError as error:
                    assert error.sqlstate == "40001"
                    continue
                main, b = comparison.answers
                assert main.error is None
                if b.error is None:
                    assert b.columns == main.columns
                else:
                    assert '"s"' in str(b.error)
                outcomes["right" if b.error is None else "renamed"] += 1
    finally:
        stop.set()
        changer.join()


# -- errors ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "first"),
    [
        ("SELECT s FROM t", "main"),  # does not bind on b
        ("SELECT CAST(s AS INTEGER) FROM c.t", "main"),  # fails everywhere
        ("SELECT 10 // (i - 200) FROM t", "main"),  # fails while it runs, on b
        ("SELECT 10 // (i - 200) FROM t", "b"),
    ],
)
def test_an_error_on_one_branch_is_its_own(
    database: Database, compared: Callable[..., Comparison], query: str, first: str
) -> None:
    run(database, "b", d.AlterTable(d.Name("t"), (d.DropColumn("s"),)), "UPDATE t SET i = 200 WHERE i = 99")
    names = [first, *({"main", "b", "c"} - {first})]
    comparison = compared(query, names)
    comparison.run(3)
    failed = {answer.branch for answer in comparison.answers if answer.error is not None}
    assert failed == ({"main", "b", "c"} if "c.t" in query else {"b"})
    for answer in comparison.alive:
        comparison.fingerprint(answer)
        assert answer.rows == 100 and len(answer.times) == 3
    assert [lines == [] for _, lines in comparison.plans()] == [name in failed for name in names]


def test_it_cannot_write(database: Database, compared: Callable[..., Comparison]) -> None:
    run(database, "main", d.CreateSequence(d.Name("s")))
    comparison = compared("SELECT nextval('s')", ("main", "c"))
    comparison.run()
    error = comparison.answers[0].error
    assert isinstance(error, EngineError) and "read-only" in error.message


def test_it_can_be_interrupted(compared: Callable[..., Comparison]) -> None:
    comparison = compared(
        "SELECT count(*) FROM range(100000) AS a(i), range(1000000) AS b(j) WHERE i * j % 7 = 3"
    )
    timer = threading.Timer(0.2, comparison.interrupt)
    timer.start()
    with pytest.raises(BoughError) as raised:
        comparison.run()
    assert raised.value.sqlstate == "57014"
    with pytest.raises(BoughError):  # and it stays so
        comparison.run()


# -- comparing ---------------------------------------------------------------------------------------------------------


def test_columns_count_too(database: Database, compared: Callable[..., Comparison]) -> None:
    run(database, "b", d.AlterTable(d.Name("t"), (d.AlterType("i", exp.DataType.build("BIGINT")),)))
    comparison = compared("SELECT i FROM t")
    assert verdicts(comparison) == [True, False]
    assert rows_of(comparison.differences()) == []
    assert comparison.columns(counted=True)[-1] == ResultColumn("i", "BIGINT")
    assert verdicts(compared("SELECT i + 0.5 AS n FROM t WHERE i < 0", ("main", "c"))) == [True, True]


def test_parameters_and_the_sessions_way_to_read(
    database: Database, compared: Callable[..., Comparison]
) -> None:
    run(database, "b", "UPDATE t SET x = x + 1e-12 WHERE i = 3", "UPDATE t SET s = 'z' WHERE i = 4")
    query = sql("SELECT x FROM t WHERE i = $1")
    for tolerance, same in ((0.0, False), (1e-9, True)):
        comparison = Comparison(database, ("main", "b"), query, parameters=[3], tolerance=tolerance)
        with closing(comparison):
            comparison.weigh()
            assert comparison.same(*comparison.answers) is same
    zone = "SELECT CAST(TIMESTAMPTZ '2020-01-01 00:00:00+00' AS VARCHAR) AS v"
    berlin = compared(zone, reading=Reading(time_zone="Europe/Berlin"))
    berlin.run()
    assert rows_of(berlin.rows())[0] == ("main", "2020-01-01 01:00:00+01")


def test_order_counts_where_it_is_asked_for(database: Database, compared: Callable[..., Comparison]) -> None:
    run(database, "b", "UPDATE t SET x = -x")
    query = "SELECT i FROM t ORDER BY x"
    assert verdicts(compared(query)) == [True, True]
    ordered = compared(query, ordered=True)
    assert verdicts(ordered) == [True, False]
    assert len(rows_of(ordered.differences())) == 200
    assert verdicts(compared("SELECT i FROM t ORDER BY i", ordered=True)) == [True, True]


ROWS = st.lists(
    st.tuples(
        st.sampled_from(["a", "b", None]),
        st.one_of(st.none(), st.sampled_from([0.0, 1.0, 1.5, float("nan"), float("inf"), 1e300])),
    ),
    max_size=12,
)
COLUMNS = (ResultColumn("k", "VARCHAR"), ResultColumn("x", "DOUBLE"))


@pytest.fixture(scope="module")
def engine() -> Iterator[Cursor]:
    cursor = connect(":memory:")
    yield cursor
    cursor.close()


def load(engine: Cursor, number: int, rows: Sequence[tuple[Any, ...]]) -> str:
    engine.execute(f"CREATE OR REPLACE TEMP TABLE r{number} (c0 VARCHAR, c1 DOUBLE)")
    for row in rows:
        engine.execute(f"INSERT INTO r{number} VALUES (?, ?)", row)
    return f"SELECT * FROM r{number}"


def plain(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """NaN equals itself here, as it does in SQL."""
    return tuple("nan" if value != value else value for value in row)


@settings(max_examples=examples(60), deadline=None)
@given(st.lists(ROWS, min_size=2, max_size=3))
def test_the_difference_is_that_of_multisets(engine: Cursor, results: list[list[tuple[Any, ...]]]) -> None:
    sources = [load(engine, number, rows) for number, rows in enumerate(results)]
    counts = [Counter(map(plain, rows)) for rows in results]
    common = counts[0]
    for other in counts[1:]:
        common = common & other
    expected = Counter(
        {
            (number, *row): count - common[row]
            for number, found in enumerate(counts)
            for row, count in found.items()
        }
    )
    for tolerance in (0, 1e-6):
        found = engine.query(compare.difference_sql(sources, COLUMNS, tolerance=tolerance))
        assert Counter({(row[0], *plain(row[2:])): row[1] for row in found}) == +expected
    sums = [engine.query(compare.fingerprint_sql(source, COLUMNS))[0] for source in sources]
    for one, first in zip(counts, sums, strict=True):
        for two, second in zip(counts, sums, strict=True):
            assert (first == second) == (one == two)


@settings(max_examples=examples(80), deadline=None)
@given(
    st.lists(st.tuples(st.floats(-1e12, 1e12), st.floats(-1, 1)), min_size=1, max_size=8),
    st.sampled_from([1e-12, 1e-9, 1e-6, 1e-3]),
)
@example([(1.0, 1.0)], 1e-9)
@example([(0.0, -1.0)], 1e-3)
@example([(0.0, 1.0), (0.02, 1.0)], 1e-3)
def test_floats_closer_than_the_tolerance_are_equal(
    engine: Cursor, pairs: list[tuple[float, float]], tolerance: float
) -> None:
    """And of those further apart than three times of it, none is. Pairs that lie close to each other are left out."""
    pairs = [
        pair
        for number, pair in enumerate(pairs)
        if all(
            abs(pair[0] - value) > 8 * tolerance * max(1.0, abs(pair[0]), abs(value))
            for value, _ in pairs[:number]
        )
    ]
    near = [[("a", value) for value, _ in pairs]]
    far = [("a", value + 4 * tolerance * max(1.0, abs(value))) for value, _ in pairs[:1]]
    near.append([("a", value + 0.99 * shift * tolerance * max(1.0, abs(value))) for value, shift in pairs])
    sources = [load(engine, number, rows) for number, rows in enumerate(near)]
    assert (
        tolerance < 1e-11 or engine.query(compare.difference_sql(sources, COLUMNS, tolerance=tolerance)) == []
    )
    if len(pairs) == 1:
        apart = compare.difference_sql([sources[0], load(engine, 2, far)], COLUMNS, tolerance=tolerance)
        assert len(engine.query(apart)) == 2


def test_types_that_differ_become_one_that_holds_both() -> None:
    def types(*found: str) -> list[str | None]:
        return compare.common_columns([[ResultColumn("c", kind)] for kind in found])

    assert types("INTEGER", "INTEGER") == [None]
    assert types("INTEGER", "BIGINT", "SMALLINT") == ["BIGINT"]
    assert types("INTEGER", "DOUBLE") == ["DOUBLE"]
    assert types("FLOAT", "DOUBLE") == ["DOUBLE"]
    assert types("DATE", "INTEGER") == ["VARCHAR"]
    assert types('"NULL"', "DATE") == ["DATE"]
    assert types('"NULL"', '"NULL"') == ["VARCHAR"]
