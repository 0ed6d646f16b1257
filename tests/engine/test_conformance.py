"""What every engine must do, asked of its sessions alone. The rest of branching is in ``test_branching_on_engines``."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlglot

import branching
from branching import BoughError, Cursor, Engine, EngineError, ErrorKind, OpenError, WireFormats, names
from branching.engine.capabilities import Capabilities
from branching.engine.log import Log, OtherAnswer
from branching.engine.points import Point
from branching.model import Column, Constraint, Sequence, Storage, Table
from branching.names import BRANCH, ENDED, PLACE, RID, VERSION
from branching.physical import BaseTable

DATA = names.DATA_SCHEMA
TABLE = Table(
    1,
    "public",
    "t",
    (
        Column(1, "id", "INTEGER", not_null=True),
        Column(2, "v", "VARCHAR", default="'new'"),
        Column(3, "n", "INTEGER"),
    ),
    (Constraint("t_pkey", "p", ("id",)), Constraint("t_n_check", "c", (), "n < 100")),
    storage=Storage(7, 5),
)
BASE = BaseTable(7, "main", "t", {1: "id", 2: "v", 3: "n"})


@pytest.fixture
def cursor(engine: Engine) -> Iterator[Cursor]:
    """A session on a database that has the storage of one table."""
    opened = engine.connect(":memory:")
    for statement in engine.create_manifest():
        opened.execute(statement)
    for statement in (
        engine.create_base("main", "t", TABLE),
        engine.create_delta(TABLE),
        engine.create_images(TABLE),
        engine.create_mask(7),
        engine.create_ended(TABLE),
    ):
        opened.execute(statement)
    opened.execute(engine.create_history(opened, BASE, names.history(BASE.id)))
    yield opened
    opened.close()


def fill(cursor: Cursor, *ids: int, version: int = 1) -> None:
    rows = ", ".join(f"({number}, 'v{number}', {number}, {version})" for number in ids)
    cursor.execute(f"INSERT INTO {BASE.sql} (id, v, n, {VERSION}) VALUES {rows}")


def ids(cursor: Cursor, where: str = "true") -> list[int]:
    return [row[0] for row in cursor.query(f"SELECT id FROM {BASE.sql} WHERE {where} ORDER BY id")]


def failure(work: object, kind: ErrorKind) -> EngineError:
    assert callable(work)
    with pytest.raises(EngineError) as caught:
        work()
    assert caught.value.kind is kind, caught.value
    return caught.value


# -- sessions and transactions ---------------------------------------------------------------------------------------


def test_a_transaction_is_whole_or_not_there(cursor: Cursor) -> None:
    other = cursor.cursor()
    cursor.begin()
    fill(cursor, 1, 2)
    assert ids(cursor) == [1, 2] and ids(other) == []
    cursor.rollback()
    assert ids(cursor) == []
    cursor.begin()
    fill(cursor, 3)
    cursor.commit()
    assert ids(other) == [3]


def test_rollback_is_always_possible(cursor: Cursor) -> None:
    cursor.rollback()
    cursor.begin()
    failure(lambda: cursor.execute("SELECT no_such_column FROM main.t"), ErrorKind.OTHER)
    cursor.rollback()
    fill(cursor, 1)
    assert ids(cursor) == [1]


def test_after_an_error_the_capability_tells_whether_the_transaction_stands(cursor: Cursor) -> None:
    cursor.begin()
    fill(cursor, 1)
    failure(lambda: fill(cursor, 1), ErrorKind.CONSTRAINT)
    if cursor.engine.capabilities.errors_end_transactions:
        failure(lambda: ids(cursor), ErrorKind.OTHER)
    else:
        assert ids(cursor) == [1]
    cursor.rollback()
    assert ids(cursor) == []


def test_a_read_only_transaction_writes_nothing(cursor: Cursor) -> None:
    cursor.begin(read_only=True)
    failure(lambda: fill(cursor, 1), ErrorKind.OTHER)
    cursor.rollback()
    assert ids(cursor) == []


def test_a_statement_outside_a_transaction_is_one(cursor: Cursor) -> None:
    fill(cursor, 1, 2)
    failure(lambda: cursor.execute(f"INSERT INTO {BASE.sql} (id) VALUES (3), (2)"), ErrorKind.CONSTRAINT)
    assert ids(cursor.cursor()) == [1, 2]


def test_the_snapshot_is_of_the_first_statement_and_stays(cursor: Cursor) -> None:
    other = cursor.cursor()
    fill(cursor, 1)
    other.begin()
    assert ids(other) == [1]
    fill(cursor, 2)
    cursor.execute(f"DELETE FROM {BASE.sql} WHERE id = 1")
    assert ids(other) == [1] and ids(cursor) == [2]
    other.commit()
    assert ids(other) == [2]


def test_what_a_log_holds_can_be_done_again(cursor: Cursor) -> None:
    fill(cursor, 1, 2)
    cursor.begin()
    cursor.log = log = Log()
    fill(cursor, 3)
    assert cursor.execute(f"UPDATE {BASE.sql} SET v = ? WHERE id = ?", ("x", 1)) == 1
    assert cursor.returning(f"DELETE FROM {BASE.sql} WHERE id = 2 RETURNING id").rows() == [(2,)]
    log.returned([(2,)])
    cursor.execute(cursor.engine.replace_temporary("kept", f"SELECT id FROM {BASE.sql}"))
    place = log.place()
    cursor.execute(f"DELETE FROM {BASE.sql}")
    failure(lambda: fill(cursor, 5, 5), ErrorKind.CONSTRAINT)
    assert (place.taken, log.taken) == (4, 5)  # what fails is not noted
    cursor.log = None
    cursor.rollback()
    cursor.begin()
    log.repeat(place, cursor)
    assert ids(cursor) == [1, 3] and ids(cursor, "v = 'x'") == [1]
    assert cursor.query("SELECT id FROM kept ORDER BY id") == [(1,), (3,)]
    cursor.rollback()
    cursor.execute(f"UPDATE {BASE.sql} SET id = 7 WHERE id = 1")
    cursor.begin()
    with pytest.raises(OtherAnswer):
        log.repeat(place, cursor)
    cursor.rollback()


def test_a_digest_is_of_the_rows_alone(cursor: Cursor) -> None:
    def digest() -> object:
        return cursor.query(cursor.engine.digest(f"SELECT * FROM {BASE.sql}", ["id", "v", "n"]))

    nothing = digest()
    fill(cursor, 1, 2)
    two = digest()
    cursor.execute(f"DELETE FROM {BASE.sql}")
    fill(cursor, 2, 1)
    assert digest() == two != nothing
    cursor.execute(f"UPDATE {BASE.sql} SET n = NULL WHERE id = 1")
    assert digest() not in (two, nothing)


def test_counts_are_of_changed_rows(cursor: Cursor) -> None:
    assert cursor.execute(f"INSERT INTO {BASE.sql} (id) VALUES (1), (2), (3)") == 3
    assert cursor.execute(f"UPDATE {BASE.sql} SET v = 'x' WHERE id > 1") == 2
    assert cursor.execute(f"DELETE FROM {BASE.sql} WHERE id = 9") == 0
    assert cursor.execute(f"DELETE FROM {BASE.sql}") == 3


def test_parameters_by_number_and_by_place(cursor: Cursor) -> None:
    fill(cursor, 1, 2)
    tree = sqlglot.parse_one("SELECT n FROM s.t WHERE id = $2 AND v = $1", dialect="duckdb")
    for node in tree.find_all(sqlglot.exp.Table):
        node.replace(sqlglot.exp.Table(this=sqlglot.exp.Var(this=BASE.sql)))
    assert cursor.query(cursor.engine.text(tree), ("v2", 2)) == [(2,)]
    assert cursor.query(f"SELECT n FROM {BASE.sql} WHERE v = ? AND id = ?", ("v1", 1)) == [(1,)]


# -- conflicts -------------------------------------------------------------------------------------------------------

_CHANGES = {
    "update": f"UPDATE {BASE.sql} SET v = 'mine', {VERSION} = 5 WHERE id = 1",
    "key": f"UPDATE {BASE.sql} SET id = 50, {VERSION} = 5 WHERE id = 1",
    "delete": f"DELETE FROM {BASE.sql} WHERE id = 1",
}


def change(cursor: Cursor, what: str) -> None:
    """A write of row 1 as branching does it: after a mark, where the engine wants one."""
    if what != "update" and (mark := cursor.engine.mark(BASE.sql, "t", "id = 1", 5)) is not None:
        cursor.execute(mark)
    cursor.execute(_CHANGES[what])


@pytest.mark.parametrize("second", sorted(_CHANGES))
@pytest.mark.parametrize("first", sorted(_CHANGES))
def test_who_comes_second_to_a_row_fails(cursor: Cursor, first: str, second: str) -> None:
    fill(cursor, 1, 2)
    other = cursor.cursor()
    cursor.begin()
    other.begin()
    assert ids(cursor) == ids(other) == [1, 2]
    change(cursor, first)

    def overtaken() -> None:
        change(other, second)
        other.commit()

    # The winner commits before or after the loser's statement: either way the loser fails.
    cursor.commit()
    failure(overtaken, ErrorKind.CONFLICT)
    other.rollback()
    change(other, "delete" if ids(other, "id = 1") else "update")  # and may try again


def test_a_key_taken_meanwhile_is_a_conflict_or_a_taken_key(cursor: Cursor) -> None:
    other = cursor.cursor()
    for session in (cursor, other):
        session.begin()
        assert ids(session) == []
    fill(cursor, 1)
    cursor.commit()
    with pytest.raises(EngineError) as caught:
        fill(other, 1)
        other.commit()
    assert caught.value.kind in (ErrorKind.CONFLICT, ErrorKind.CONSTRAINT)
    other.rollback()
    assert cursor.query(f"SELECT count(*) FROM {BASE.sql}") == [(1,)]


def test_writes_of_different_rows_do_not_meet(cursor: Cursor) -> None:
    fill(cursor, 1, 2)
    other = cursor.cursor()
    for session in (cursor, other):
        session.begin()
        ids(session)
    change(cursor, "update")
    other.execute(f"UPDATE {BASE.sql} SET v = 'theirs' WHERE id = 2")
    fill(other, 3)
    fill(cursor, 4)
    cursor.commit()
    other.commit()
    assert cursor.query(f"SELECT id, v FROM {BASE.sql} ORDER BY id") == [
        (1, "mine"), (2, "theirs"), (3, "v3"), (4, "v4")
    ]  # fmt: skip


def test_a_definition_and_a_write_of_one_table_do_not_both_commit(cursor: Cursor) -> None:
    fill(cursor, 1)
    other = cursor.cursor()
    other.begin()
    assert ids(other) == [1]
    other.execute(f"UPDATE {BASE.sql} SET v = 'mine' WHERE id = 1")

    def altered() -> None:
        cursor.begin()
        cursor.execute(f"ALTER TABLE {BASE.sql} RENAME COLUMN v TO w")
        cursor.commit()
        other.commit()

    failure(altered, ErrorKind.CONFLICT)


# -- definitions -----------------------------------------------------------------------------------------------------


def test_definitions_roll_back_where_the_capability_says_so(cursor: Cursor) -> None:
    assert cursor.engine.capabilities.transactional_ddl, "a case for an engine without is still to be written"
    fill(cursor, 1)
    cursor.begin()
    cursor.execute(f"ALTER TABLE {BASE.sql} RENAME TO gone")
    cursor.execute(cursor.engine.create_base("main", "t", TABLE))
    fill(cursor, 8)
    cursor.rollback()
    assert ids(cursor) == [1]


def test_columns_are_added_once(cursor: Cursor) -> None:
    fill(cursor, 1)
    for _ in range(2):
        cursor.execute(cursor.engine.add_column(BASE.sql, "extra BIGINT"))
    assert cursor.columns_of("main", "t") == ("id", "v", "n", RID, VERSION, "extra")
    assert cursor.query(f"SELECT extra FROM {BASE.sql}") == [(None,)]


def test_the_catalog_says_what_is_there(cursor: Cursor) -> None:
    wanted = {names.delta(5), names.before(5), names.mask(7), names.ended(5), names.history(7)}
    assert cursor.tables() == {("main", "t")} | {tuple(name.split(".")) for name in wanted}
    assert cursor.columns_of(DATA, "m7") == (BRANCH, RID)
    assert cursor.columns_of(DATA, "nothing") == ()
    assert cursor.has_function("coalesce") or cursor.has_function("upper")
    assert not cursor.has_function("no_such_function")
    assert cursor.type_name("INT") == "INTEGER" and cursor.type_name("text") == "VARCHAR"
    failure(lambda: cursor.type_name("no_such_type"), ErrorKind.OTHER)


def test_sequences_give_each_number_once_whatever_is_rolled_back(cursor: Cursor) -> None:
    sequence = Sequence(9, "public", "s", f"{DATA}.s9", "BIGINT", 5, 5, 1, 100)
    cursor.execute(cursor.engine.create_sequence(sequence))
    asked = f"SELECT nextval('{sequence.physical}')"
    assert cursor.last_value(sequence.physical) is None
    cursor.begin()
    assert cursor.query(asked) == [(5,)]
    cursor.rollback()
    assert cursor.cursor().query(asked) == [(10,)]
    assert cursor.last_value(sequence.physical) == 10
    cursor.next_start(sequence.physical, 50)
    assert cursor.query(asked) == [(50,)]


# -- temporary tables ------------------------------------------------------------------------------------------------


def test_temporary_tables_are_the_session_s_and_may_be_made_of_themselves(cursor: Cursor) -> None:
    make = cursor.engine.replace_temporary
    cursor.execute(make("_bough_stage", "SELECT 1 AS a UNION ALL SELECT 2"))
    cursor.execute(make("_bough_stage", "SELECT a + 1 AS a, a > 1 AS big FROM _bough_stage"))
    assert cursor.query("SELECT * FROM _bough_stage ORDER BY a") == [(2, False), (3, True)]
    failure(lambda: cursor.cursor().query("SELECT * FROM _bough_stage"), ErrorKind.OTHER)


def test_arrow_goes_in_and_out(cursor: Cursor) -> None:
    fill(cursor, 1, 2)
    taken = cursor.arrow(f"SELECT id, v, n > 1 AS big FROM {BASE.sql} ORDER BY id")
    assert taken.to_pylist() == [{"id": 1, "v": "v1", "big": False}, {"id": 2, "v": "v2", "big": True}]
    other = cursor.cursor()
    other.register("_bough_rows", taken)
    assert other.query("SELECT sum(id) FROM _bough_rows WHERE big") == [(2,)]
    other.unregister("_bough_rows")
    failure(lambda: other.query("SELECT * FROM _bough_rows"), ErrorKind.OTHER)
    assert sum(batch.num_rows for batch in cursor.arrow_batches(f"SELECT id FROM {BASE.sql}", 1)) == 2


# -- results ---------------------------------------------------------------------------------------------------------


def test_results_have_types_and_values(cursor: Cursor) -> None:
    instant = datetime(2024, 2, 29, 12, 30, 0, 5, tzinfo=UTC)
    sql = (
        "SELECT CAST(? AS TIMESTAMPTZ) AS at, CAST(1 AS BIGINT) AS n, 'x' AS t, 1 = 1 AS yes,"
        " CAST(NULL AS DOUBLE) AS d"
    )
    columns, rows = cursor.open(sql, (instant,))
    assert [column.type for column in columns] == [
        "TIMESTAMP WITH TIME ZONE", "BIGINT", "VARCHAR", "BOOLEAN", "DOUBLE"
    ]  # fmt: skip
    ((at, *rest),) = [row for batch in rows for row in batch]
    assert at == instant and rest == [1, "x", True, None]
    assert cursor.describe(sql, (instant,)) == columns


def test_a_description_runs_nothing(cursor: Cursor) -> None:
    fill(cursor, 1)
    before = cursor.last_value(names.RID_SEQUENCE)
    described = cursor.describe(f"SELECT id, v, nextval('{names.RID_SEQUENCE}') AS r FROM {BASE.sql}")
    assert [(column.name, column.type) for column in described] == [
        ("id", "INTEGER"), ("v", "VARCHAR"), ("r", "BIGINT")
    ]  # fmt: skip
    assert cursor.last_value(names.RID_SEQUENCE) == before
    failure(lambda: cursor.describe(f"SELECT nothing FROM {BASE.sql}"), ErrorKind.OTHER)


def test_large_results_come_in_pieces_and_may_be_left(cursor: Cursor) -> None:
    fill(cursor, *range(99))
    sql = f"SELECT a.id, b.v FROM {BASE.sql} AS a CROSS JOIN {BASE.sql} AS b"
    columns, rows = cursor.open(sql)
    assert [column.name for column in columns] == ["id", "v"]
    first = next(rows)
    assert 0 < len(first) < 99 * 99
    assert cursor.query("SELECT 1") == [(1,)]  # ends the other result
    _, rows = cursor.open(sql)
    assert sum(len(batch) for batch in rows) == 99 * 99


def test_a_stream_has_all_rows_encoded_or_not(cursor: Cursor) -> None:
    fill(cursor, *range(50))
    for sql, wanted in ((f"SELECT id FROM {BASE.sql}", 50), (_crossed(), 2500)):
        _, pieces, encoded = cursor.stream(sql, (), WireFormats())
        counts = [piece.rows if encoded else len(piece) for piece in pieces]
        assert sum(counts) == wanted


def _crossed() -> str:
    return f"SELECT a.id FROM {BASE.sql} AS a CROSS JOIN {BASE.sql} AS b"


def test_returning_gives_columns_rows_and_arrow(cursor: Cursor) -> None:
    done = cursor.returning(f"INSERT INTO {BASE.sql} (id) VALUES (1), (2) RETURNING id, v AS w")
    assert [(column.name, column.type) for column in done.columns] == [("id", "INTEGER"), ("w", "VARCHAR")]
    assert sorted(done.rows()) == [(1, "new"), (2, "new")]
    done = cursor.returning(f"UPDATE {BASE.sql} SET n = 4 WHERE id = 2 RETURNING n")
    assert done.arrow().to_pylist() == [{"n": 4}]


def test_interrupt_ends_what_runs_and_nothing_else(cursor: Cursor) -> None:
    fill(cursor, *range(99))
    endless = "SELECT count(*) FROM " + " CROSS JOIN ".join(f"{BASE.sql} AS t{n}" for n in range(9))
    done = threading.Event()

    def stop() -> None:
        while not done.wait(0.01):  # again and again: the first may come before the query has begun
            cursor.interrupt()

    stopper = threading.Thread(target=stop)
    stopper.start()
    try:
        failure(
            lambda: cursor.query(f"{endless} WHERE t0.id + t1.id < 0 OR t8.n <> t7.n"), ErrorKind.INTERRUPTED
        )
    finally:
        done.set()
        stopper.join()
    cursor.forget_interrupt()
    cursor.rollback()
    assert len(ids(cursor)) == 99


def test_an_interrupt_waits_for_the_next_statement_unless_forgotten(cursor: Cursor) -> None:
    cursor.interrupt()
    assert cursor.interrupt_pending
    failure(lambda: cursor.query("SELECT 1"), ErrorKind.INTERRUPTED)
    assert not cursor.interrupt_pending and cursor.query("SELECT 1") == [(1,)]
    cursor.interrupt()
    cursor.forget_interrupt()
    assert cursor.query("SELECT 1") == [(1,)]


# -- errors ----------------------------------------------------------------------------------------------------------


def test_constraint_errors_say_what_they_are_about(cursor: Cursor) -> None:
    fill(cursor, 1)
    taken = failure(lambda: fill(cursor, 1), ErrorKind.CONSTRAINT).broken
    assert taken is not None and taken.kind == "key" and taken.columns in (("id",), None)
    null = failure(
        lambda: cursor.execute(f"INSERT INTO {BASE.sql} (id) VALUES (NULL)"), ErrorKind.CONSTRAINT
    ).broken
    assert null is not None and (null.kind, null.columns) == ("not null", ("id",))
    check = failure(
        lambda: cursor.execute(f"INSERT INTO {BASE.sql} (id, n) VALUES (2, 100)"), ErrorKind.CONSTRAINT
    ).broken
    assert check is not None and check.kind == "check" and "n" in check.rule and "100" in check.rule


def test_what_cannot_be_converted_is_refused(cursor: Cursor) -> None:
    for sql in (
        "SELECT CAST('x' AS INTEGER)",
        f"INSERT INTO {BASE.sql} (id) SELECT CAST(v AS INTEGER) FROM {BASE.sql}",
    ):
        fill(cursor, 1) if not ids(cursor) else None
        error = failure(lambda sql=sql: cursor.query(sql), ErrorKind.OTHER)  # type: ignore[misc]
        assert "Conversion" in error.exception
    assert cursor.query("SELECT TRY_CAST('x' AS INTEGER), TRY_CAST('7' AS INTEGER)") == [(None, 7)]
    failure(lambda: cursor.execute(f"INSERT INTO {BASE.sql} (id) VALUES ('seven')"), ErrorKind.OTHER)


def test_unknown_names_and_bad_text_are_errors_of_the_statement(cursor: Cursor) -> None:
    for sql in ("SELECT * FROM main.nothing", f"SELECT nothing FROM {BASE.sql}", "SELECT FROM WHERE"):
        failure(lambda sql=sql: cursor.query(sql), ErrorKind.OTHER)  # type: ignore[misc]
    assert cursor.query("SELECT 1") == [(1,)]


# -- branch storage --------------------------------------------------------------------------------------------------


def test_rows_get_an_identity_that_stays_and_on_a_branch_the_session_s_version(cursor: Cursor) -> None:
    fill(cursor, 1, 2, version=41)
    cursor.execute(f"UPDATE {BASE.sql} SET id = 7 WHERE id = 1")
    fill(cursor, 3, version=42)
    rows = cursor.query(f"SELECT id, {RID}, {VERSION} FROM {BASE.sql} ORDER BY id")
    assert [row[0::2] for row in rows] == [(2, 41), (3, 42), (7, 41)]
    assert len({row[1] for row in rows}) == 3
    other = cursor.cursor()
    other.write_as(50, 4)
    other.execute(f"INSERT INTO {names.delta(5)} (id) VALUES (1)")
    assert other.query(f"SELECT {BRANCH}, v, {VERSION} FROM {names.delta(5)}") == [(4, "new", 50)]


def test_a_delta_enforces_what_the_capability_says(cursor: Cursor) -> None:
    enforced = cursor.engine.capabilities.delta_enforces
    delta = names.delta(5)
    cursor.write_as(2, 1)
    cursor.execute(f"INSERT INTO {delta} (id, n) VALUES (1, 1)")
    broken = {
        "not null": f"INSERT INTO {delta} (id) VALUES (NULL)",
        "check": f"INSERT INTO {delta} (id, n) VALUES (2, 100)",
        "key": f"INSERT INTO {delta} (id) VALUES (1)",
    }
    for rule, sql in broken.items():
        if rule in enforced:
            failure(lambda sql=sql: cursor.execute(sql), ErrorKind.CONSTRAINT)  # type: ignore[misc]
        else:
            cursor.execute(sql)
    cursor.write_as(2, 9)
    cursor.execute(f"INSERT INTO {delta} (id) VALUES (1)")  # another branch's key
    assert ("default" in enforced) == (
        cursor.query(f"SELECT v FROM {delta} WHERE {BRANCH} = 9") == [("new",)]
    )


def test_a_mask_takes_a_row_once_for_each_branch(cursor: Cursor) -> None:
    mask = names.mask(7)
    cursor.execute(f"INSERT INTO {mask} VALUES (1, 5), (2, 5)")
    failure(lambda: cursor.execute(f"INSERT INTO {mask} VALUES (1, 5)"), ErrorKind.CONSTRAINT)


def test_the_mask_hides_rows_of_its_branch_only(cursor: Cursor) -> None:
    fill(cursor, 1, 2, 3)
    cursor.execute(f"INSERT INTO {names.mask(7)} SELECT id + 3, {RID} FROM {BASE.sql} WHERE id < 3")
    rows = f"(SELECT id, v, {RID} FROM {BASE.sql})"
    for branch, wanted in ((4, [2, 3]), (5, [1, 3]), (6, [1, 2, 3])):
        sql = cursor.engine.unmasked(rows, "id", names.mask(7), branch)
        assert [row[0] for row in cursor.query(f"SELECT id FROM ({sql}) AS _rows ORDER BY id")] == wanted
    sql = cursor.engine.unmasked(rows, f"id, _below.{RID}", names.mask(7), 5)
    assert len(cursor.query(sql)) == 2


def test_touch_copies_what_matches_and_nothing_twice(cursor: Cursor) -> None:
    fill(cursor, 1, 2, 3)
    rows = f"(SELECT id, v, n, {RID}, {VERSION} FROM {BASE.sql})"
    sql = cursor.engine.touch(names.delta(5), "id, v, n", rows, "t", "id > ?", branch=6, version=9)
    assert cursor.execute(sql, (1,)) == 2
    copied = cursor.query(f"SELECT id, v, {BRANCH}, {VERSION} FROM {names.delta(5)} ORDER BY id")
    assert copied == [(2, "v2", 6, 9), (3, "v3", 6, 9)]
    below = dict(cursor.query(f"SELECT id, {RID} FROM {BASE.sql}"))
    assert dict(cursor.query(f"SELECT id, {RID} FROM {names.delta(5)}")) == {2: below[2], 3: below[3]}
    failure(lambda: cursor.execute(sql, (1,)), ErrorKind.CONSTRAINT)


def history(cursor: Cursor) -> None:
    """Row 1 written by 1; row 2 by 2 and deleted by 5; row 3 by 3 and changed by 6; row 4 by 4."""
    for version in (1, 2, 3, 4):
        fill(cursor, version, version=version)
    for row, ended in ((2, 5), (3, 6)):
        cursor.execute(
            f"INSERT INTO {names.history(7)} (c1, c2, c3, {RID}, {VERSION}, {ENDED})"
            f" SELECT id, v, n, {RID}, {VERSION}, {ended} FROM {BASE.sql} WHERE id = {row}"
        )
    cursor.execute(f"DELETE FROM {BASE.sql} WHERE id = 2")
    cursor.execute(f"UPDATE {BASE.sql} SET v = 'changed', {VERSION} = 6 WHERE id = 3")


@pytest.mark.parametrize(
    ("point", "wanted"),
    [
        (Point(0), {}),
        (Point(2), {1: "v1", 2: "v2"}),
        (Point(4), {1: "v1", 2: "v2", 3: "v3", 4: "v4"}),
        (Point(5), {1: "v1", 3: "v3", 4: "v4"}),
        (Point(6), {1: "v1", 3: "changed", 4: "v4"}),
        (Point(4, (1, 3)), {2: "v2", 4: "v4"}),  # in flight at the instant: not there, though lower
        (Point(6, (5,)), {1: "v1", 2: "v2", 3: "changed", 4: "v4"}),
        (Point(6, (3, 6)), {1: "v1", 4: "v4"}),
    ],
)
def test_as_of_is_what_was_visible_at_the_point(cursor: Cursor, point: Point, wanted: dict[int, str]) -> None:
    history(cursor)
    sql = cursor.engine.as_of(
        f"SELECT id, v FROM {BASE.sql}", "c1, c2", names.history(7), Point.load(point.dump())
    )
    assert dict(cursor.query(sql)) == wanted
    assert dict(cursor.query(f"SELECT v, id FROM ({sql}) AS _then WHERE id = 4")) == (
        {"v4": 4} if 4 in wanted else {}
    )


def test_changed_since_names_the_rows_that_are_not_as_they_were(cursor: Cursor) -> None:
    history(cursor)
    rid = dict(cursor.query(f"SELECT id, {RID} FROM {BASE.sql}"))
    gone = cursor.query(f"SELECT {RID} FROM {names.history(7)} WHERE c1 = 2")[0][0]
    for point, wanted in (
        (Point(6), set()),
        (Point(5), {rid[3]}),
        (Point(4), {gone, rid[3]}),
        (Point(3), {gone, rid[3], rid[4]}),
        (Point(6, (5,)), {gone}),
    ):
        found = cursor.engine.changed_since(BASE.sql, names.history(7), point)
        assert {row[0] for row in cursor.query(" UNION ".join(found))} == wanted
    assert cursor.query(cursor.engine.last_change(BASE.sql, names.history(7))) == [(6,)]
    cursor.execute(f"DELETE FROM {BASE.sql}")
    assert cursor.query(cursor.engine.last_change(BASE.sql, None)) == [(0,)]


def test_deletes_in_pieces(cursor: Cursor) -> None:
    fill(cursor, *range(10))
    sql = cursor.engine.delete_some(BASE.sql, "id > 1", 3)
    assert [cursor.execute(sql) for _ in range(4)] == [3, 3, 2, 0]
    assert ids(cursor) == [0, 1]


def test_a_place_finds_the_row_again_where_the_capability_says_so(cursor: Cursor) -> None:
    fill(cursor, 1, 2, 3)
    engine = cursor.engine
    place = engine.place(BASE.columns.values())
    cursor.begin()
    found = cursor.query(f"SELECT {place} AS {PLACE}, id FROM {BASE.sql} ORDER BY id")
    if engine.capabilities.row_places:
        assert cursor.query(f"SELECT id FROM {BASE.sql} WHERE {place} = ?", (found[1][0],)) == [(2,)]
        assert engine.place(["ROWID"]) != place  # a column of that name hides it
    else:
        assert {row[0] for row in found} == {None}
    cursor.rollback()


def test_an_index_over_rows_that_somebody_reads(cursor: Cursor) -> None:
    fill(cursor, *range(50))
    reader = cursor.cursor()
    reader.begin()
    assert len(ids(reader)) == 50
    cursor.begin()
    cursor.execute(f"UPDATE {BASE.sql} SET n = n + 1")
    index = f'CREATE INDEX "i" ON {BASE.sql} (n)'
    if cursor.engine.capabilities.indexes_live_rows:
        cursor.execute(index)
        cursor.commit()
        assert len(ids(cursor, "n = 7")) == 1
    else:
        with pytest.raises(EngineError) as caught:
            cursor.execute(index)
        assert cursor.engine.meets_old_versions(caught.value)
    cursor.rollback()
    reader.rollback()


# -- capabilities ----------------------------------------------------------------------------------------------------


def test_capabilities_are_one_frozen_value(engine: Engine) -> None:
    assert isinstance(engine.capabilities, Capabilities)
    with pytest.raises(dataclasses.FrozenInstanceError):
        engine.capabilities.sole_writer = False  # type: ignore[misc]
    assert engine.capabilities.delta_enforces <= {"not null", "check", "key", "default"}


def test_what_an_engine_cannot_is_refused_and_what_it_can_is_done(engine: Engine, tmp_path: Path) -> None:
    database = branching.open(":memory:", engine=engine)
    connection = database.connect()

    def run(sql: str) -> object:
        return connection.execute(sqlglot.parse_one(sql, dialect="duckdb"))

    run("CREATE TABLE t (id INTEGER PRIMARY KEY)")
    can, works = engine.capabilities, {}
    works["merge_into"] = lambda: run(
        "MERGE INTO t USING (SELECT 1 AS id) AS s ON t.id = s.id WHEN NOT MATCHED THEN INSERT (id) VALUES (s.id)"
    )
    works["explains"] = lambda: connection.explain(sqlglot.parse_one("SELECT * FROM t", dialect="duckdb"))
    works["exchanges_files"] = lambda: engine.export(database, "main", tmp_path / "plain.file", functions={})
    for capability, work in works.items():
        if getattr(can, capability):
            work()
        else:
            with pytest.raises(BoughError) as caught:
                work()
            assert caught.value.sqlstate == "0A000", capability
    database.close()


def test_an_engine_that_leaves_a_rule_to_nobody_is_not_opened(engine: Engine) -> None:
    class Lax(type(engine)):  # type: ignore[misc]
        capabilities = dataclasses.replace(
            engine.capabilities, delta_enforces=frozenset({"not null", "default"})
        )

    with pytest.raises(OpenError, match="check, key"):
        branching.open(":memory:", engine=Lax())


def test_native_foreign_keys_are_declared_only_to_those_that_have_them(engine: Engine) -> None:
    class Native(type(engine)):  # type: ignore[misc]
        capabilities = dataclasses.replace(engine.capabilities, native_foreign_keys=True)

    key = Constraint("t_fkey", "f", ("n",), None, "main", "p", ("id",))
    child = dataclasses.replace(TABLE, constraints=(*TABLE.constraints, key))
    assert "REFERENCES" not in engine.create_base("main", "t", child)
    assert "REFERENCES" in Native().create_base("main", "t", child)
    assert "REFERENCES" not in Native().create_delta(child)  # parents are looked for across layers


def test_paths_that_cannot_be_opened_say_so(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(OpenError):
        engine.connect(str(tmp_path), [("no_such_setting", "1")])
