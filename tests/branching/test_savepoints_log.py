"""What of a statement may be another when it is run again: nothing that the engine knows is forgotten."""

from __future__ import annotations

import duckdb
import pytest
import sqlglot

from branching.engine.log import Log, OtherAnswer
from branching.resolve import parse
from branching.steady import is_unsteady
from branching.watch import Watch, draws, is_unordered, tells_time

pytestmark = pytest.mark.sampled

# Their answer depends on the session's settings or the snapshot, which are the same again; or the proxy answers them.
_TEXT = """
in_search_path isoyear julian timezone timezone_hour timezone_minute time_bucket yearweek strftime week
millennium minute second range - + hour current_database current_schema current_schemas current_setting
date_part date_sub date_trunc day dayofmonth dayofyear isodow last_day microsecond weekofyear weekday year
millisecond month monthname quarter century datediff datepart datesub datetrunc date_diff dayname
generate_series getvariable dayofweek decade era make_timestamptz age error vector_type write_log
"""
_SETTLED = frozenset(_TEXT.split())


def test_every_function_that_changes_by_itself_is_known() -> None:
    found = duckdb.execute(
        "SELECT DISTINCT function_name FROM duckdb_functions() WHERE stability <> 'CONSISTENT'"
    ).fetchall()
    for (name,) in found:
        if name in _SETTLED:
            continue
        tree = sqlglot.parse_one(f"SELECT {name}()", dialect="duckdb")
        assert next(draws(tree), None) is not None or tells_time(tree), name


@pytest.mark.parametrize(
    ("text", "unordered"),
    [
        ("SELECT a FROM t LIMIT 1", True),
        ("SELECT count(*), min(a), max(a) FROM t", False),
        ("SELECT sum(a) FROM t", True),
        ("SELECT array_agg(a) FROM t", True),
        ("SELECT string_agg(a, ',') FROM t", True),
        ("SELECT row_number() OVER () FROM t", True),
        ("SELECT DISTINCT a FROM t", False),
        ("SELECT DISTINCT ON (a) a, b FROM t", True),
        ("SELECT a FROM t JOIN u USING (a) WHERE a IN (SELECT b FROM v)", False),
        ("SELECT any_value(a) FROM t", True),
        ("UPDATE t SET a = u.b FROM u WHERE u.a = t.a", True),
        ("UPDATE t SET a = 1 WHERE a = 2", False),
        ("DELETE FROM t WHERE a IN (SELECT a FROM u FETCH FIRST 2 ROWS ONLY)", True),
    ],
)
def test_where_the_engine_chooses(text: str, unordered: bool) -> None:
    assert is_unordered(sqlglot.parse_one(text, dialect="duckdb")) is unordered


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("now()", "TIMESTAMP WITH TIME ZONE"),
        ("current_timestamp", "TIMESTAMP WITH TIME ZONE"),
        ("current_date", "DATE"),
        ("today()", "DATE"),
        ("localtimestamp", "TIMESTAMP"),
        ("current_localtime()", "TIME"),
        ("get_current_time()", "TIME WITH TIME ZONE"),
    ],
)
def test_the_time_that_is_put_in_is_of_the_function_s_type(text: str, kind: str) -> None:
    assert is_unsteady(text)
    tree = sqlglot.parse_one(f"SELECT {text} AS t, typeof({text})", dialect="duckdb")
    placed = Watch(instant=lambda: "2020-05-06 07:08:09.123456+00").look(tree, nested=False).sql("duckdb")
    with duckdb.connect() as connection:
        connection.execute("SET TimeZone = 'UTC'")
        value, found = connection.execute(placed).fetchall()[0]
    assert found == kind
    assert str(value).startswith("2020-05-06" if "DATE" in kind or "STAMP" in kind else "07:08:09.123456")


def test_defaults_that_stay_what_they_are() -> None:
    assert not any(map(is_unsteady, ["5", "'now'", "lower('X')", "CAST('2020-01-01' AS DATE)"]))
    assert next(draws(parse("gen_random_uuid()")), None) is not None


def test_a_log_keeps_what_a_place_needs() -> None:
    log = Log(limit=2000)
    log.add("execute", "a", (), 1)
    place = log.place()
    for number in range(20):
        log.add("execute", "b" * 100, (f"{number}" * 100,), 1)
    assert log.broken is not None and [step.text for step in log.steps] == ["a"]
    assert log.place().broken == log.broken and place.broken is None
    log.add("execute", "c", (), 1)
    assert log.taken == 22
    log.back_to(place)
    assert (log.taken, log.broken, len(log.steps)) == (1, None, 1)
    log.add("execute", "d", (), 1)
    assert [step.text for step in log.steps] == ["a", "d"]


def test_another_answer_is_noticed() -> None:
    class Cursor:
        def execute(self, _text: str, _values: object) -> int:
            return 2

    log = Log()
    log.add("execute", "a", (), 1)
    with pytest.raises(OtherAnswer):
        log.repeat(log.place(), Cursor())  # type: ignore[arg-type]
