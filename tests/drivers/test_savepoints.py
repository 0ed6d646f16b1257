"""SAVEPOINT, RELEASE and ROLLBACK TO, as drivers send them, on main and on a branch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest
import sqlalchemy
import sqlalchemy.orm
from raw_client import RawClient, error
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled


@pytest.fixture(params=["main", "branch"])
def place(
    request: pytest.FixtureRequest, server: ThreadServer, name: str
) -> Iterator[psycopg.Connection[Any]]:
    """A connection to main, and one to a branch, with a table of one row."""
    with server.connect() as main:
        main.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        main.execute(f"INSERT INTO {name} VALUES (1)")
        if request.param == "main":
            yield main
            return
        main.execute(f"BRANCH CREATE {name} FROM main")
        with server.connect(name) as connection:
            yield connection
        main.execute(f"BRANCH DISCARD {name} WITH (force true)")


def rows(connection: psycopg.Connection[Any], name: str) -> list[int]:
    return [row[0] for row in connection.execute(f"SELECT i FROM {name} ORDER BY i")]


def test_release_after_writes(place: Any, name: str) -> None:
    with place.transaction():
        place.execute(f"INSERT INTO {name} VALUES (2)")
        with place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (3)")
            with place.transaction():
                place.execute(f"DELETE FROM {name} WHERE i = 1")
    assert rows(place, name) == [2, 3]


def test_back_to_a_savepoint_before_any_write(place: Any, name: str) -> None:
    with place.transaction():
        with pytest.raises(ZeroDivisionError), place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (2)")
            place.execute("SELECT 1")
            raise ZeroDivisionError
        assert rows(place, name) == [1]
        with pytest.raises(psycopg.errors.UniqueViolation), place.transaction():
            place.execute(f"INSERT INTO {name} VALUES (3), (1)")
        with pytest.raises(psycopg.errors.UndefinedTable), place.transaction():
            place.execute(f"DROP TABLE {name}")
            place.execute(f"SELECT * FROM {name}")
        place.execute(f"INSERT INTO {name} VALUES (4)")
    assert rows(place, name) == [1, 4]


def test_back_without_writes_since(place: Any, name: str) -> None:
    with place.transaction():
        place.execute(f"INSERT INTO {name} VALUES (2)")
        with pytest.raises(ZeroDivisionError), place.transaction():
            assert rows(place, name) == [1, 2]
            raise ZeroDivisionError
        with pytest.raises(psycopg.errors.UndefinedTable), place.transaction():
            place.execute("SELECT * FROM no_such_table")  # found before the engine saw anything
        with pytest.raises(psycopg.errors.SyntaxError), place.transaction():
            place.execute("SELEC 1")
        place.execute(f"INSERT INTO {name} VALUES (3)")
    assert rows(place, name) == [1, 2, 3]


def fails(connection: psycopg.Connection[Any], statement: str, sqlstate: str) -> psycopg.Error:
    with pytest.raises(psycopg.Error) as caught:
        connection.execute(statement.encode())
    assert caught.value.sqlstate == sqlstate, caught.value
    return caught.value


@pytest.mark.parametrize(
    ("statement", "sqlstate"),
    [
        ("INSERT INTO {} VALUES (3)", None),
        ("INSERT INTO {} VALUES (2)", "23505"),
        ("INSERT INTO {} VALUES (3), (2)", "23505"),
        ("INSERT INTO {} VALUES (NULL)", "23502"),
        ("SELECT 1 / (i - i) FROM {}", "22012"),
        ("DELETE FROM {}", None),
        ("DROP TABLE {}", None),
        ("ALTER TABLE {} ADD COLUMN j int DEFAULT 5", None),
        ("TRUNCATE {}", None),
    ],
)
def test_what_came_before_is_kept(place: Any, name: str, statement: str, sqlstate: str | None) -> None:
    place.execute("BEGIN")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT here")
    for _ in range(2):
        if sqlstate is None:
            place.execute(statement.format(name))
        else:
            fails(place, statement.format(name), sqlstate)
            fails(place, "SELECT 1", "25P02")
        place.execute("ROLLBACK TO here")
        assert place.execute(f"SELECT * FROM {name} ORDER BY i").fetchall() == [(1,), (2,)]
    place.execute(f"INSERT INTO {name} VALUES (4)")
    place.execute("COMMIT")
    assert rows(place, name) == [1, 2, 4]


def test_values_that_were_drawn_stay_what_they_were(place: Any, name: str) -> None:
    place.execute(
        f"CREATE TABLE u{name} (id serial PRIMARY KEY, key uuid DEFAULT gen_random_uuid(), r float8 DEFAULT random(),"
        " at timestamptz DEFAULT now(), n int)"
    )
    place.execute("BEGIN")
    place.execute(f"INSERT INTO u{name} (n) VALUES (1), (2)")
    place.execute(f"INSERT INTO u{name} (id, n) VALUES (DEFAULT, 3), (100, 4)")
    place.execute(f"INSERT INTO u{name} DEFAULT VALUES")
    place.execute(f"INSERT INTO u{name} (n) SELECT i FROM generate_series(10, 15) AS g(i)")
    place.execute(f"UPDATE u{name} SET at = now() + interval '1 day' WHERE n = 2")
    with place.cursor().copy(f"COPY u{name} (n) FROM STDIN") as copy:
        copy.write("20\n21\n")
    place.execute("SAVEPOINT here")
    query = f"SELECT *, at >= now() AS later FROM u{name} ORDER BY id"
    before, time = place.execute(query).fetchall(), place.execute("SELECT now(), current_date").fetchall()
    assert [row[0] for row in before] == [*range(1, 13), 100]
    assert len({row[1] for row in before}) == 13
    fails(place, f"INSERT INTO u{name} (id) VALUES (1), (1)", "23505")
    place.execute("ROLLBACK TO here")
    assert place.execute(query).fetchall() == before
    assert place.execute("SELECT now(), current_date").fetchall() == time
    assert place.execute(f"INSERT INTO u{name} (n) VALUES (9) RETURNING at").fetchall() == [time[0][:1]]
    place.execute("COMMIT")
    assert place.execute(query.replace("now()", "'1999-01-01'")).fetchall()[0] == before[0]


def test_numbers_of_a_sequence_made_in_the_block_are_given_once(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute(f"CREATE TABLE s{name} (id serial PRIMARY KEY, n int)")
    place.execute(f"INSERT INTO s{name} (n) VALUES (1), (2)")
    place.execute("SAVEPOINT here")
    place.execute(f"INSERT INTO s{name} (n) VALUES (3)")
    fails(place, f"INSERT INTO s{name} (n) VALUES (1 / 0)", "22012")
    place.execute("ROLLBACK TO here")
    assert place.execute(f"INSERT INTO s{name} (n) VALUES (3) RETURNING id > 3").fetchone() == (True,)
    place.execute("COMMIT")
    assert place.execute(f"SELECT count(DISTINCT id) FROM s{name}").fetchone() == (3,)


@pytest.mark.parametrize(
    ("statement", "reason"),
    [
        ("UPDATE {} SET i = i + (random() * 0)::int", "UPDATE whose values were drawn"),
        ("INSERT INTO {} SELECT nextval('q{}')", "INSERT whose values were drawn"),
        ("ALTER TABLE {} ADD COLUMN u uuid DEFAULT gen_random_uuid()", "put drawn values into a column"),
        ("INSERT INTO {} SELECT 50 + count(*) FROM pg_class", "rows of a system table"),
        ("CREATE TABLE c{} AS SELECT name FROM bough.branches", "rows of a system table"),
    ],
    ids=["update", "insert", "alter", "catalog", "view"],
)
def test_what_cannot_be_repeated_is_refused(place: Any, name: str, statement: str, reason: str) -> None:
    place.execute(f"CREATE SEQUENCE q{name} START 100")
    place.execute("BEGIN")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT before")
    place.execute(statement.replace("{}", name))
    place.execute("SAVEPOINT behind")
    fails(place, "SELECT 1 / 0", "22012")
    refused = fails(place, "ROLLBACK TO behind", "0A000")
    assert reason in (refused.diag.message_detail or "")
    assert "ROLLBACK the whole transaction" in (refused.diag.message_hint or "")
    for text in ("SELECT 1", "SAVEPOINT again", "RELEASE before"):
        fails(place, text, "25P02")
    place.execute("ROLLBACK TO before")
    assert place.execute("COMMIT").statusmessage == "COMMIT"
    assert rows(place, name) == [1, 2]


def test_a_log_that_grows_too_long_is_given_up(
    place: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("branching.engine.log.Log.__init__.__defaults__", (20_000,))
    place.execute("BEGIN")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT near")
    for number in range(100, 200):
        place.execute(f"INSERT INTO {name} VALUES ({number})")
    place.execute("SAVEPOINT far")
    fails(place, "SELECT 1 / 0", "22012")
    assert "that are kept for it" in (fails(place, "ROLLBACK TO far", "0A000").diag.message_detail or "")
    place.execute("ROLLBACK TO near")
    place.execute("COMMIT")
    assert rows(place, name) == [1, 2]


@pytest.mark.parametrize("where", ["main", "branch"])
def test_another_session_commits_meanwhile(server: ThreadServer, name: str, where: str) -> None:
    with server.connect() as main:
        main.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        main.execute(f"CREATE TABLE read_{name} (i int)")
        main.execute(f"CREATE TABLE other_{name} (i int PRIMARY KEY)")
        main.execute(f"INSERT INTO {name} VALUES (1)")
        if where == "branch":
            main.execute(f"BRANCH CREATE {name} FROM main")
            with server.connect(
                name
            ) as branch:  # nobody else may write while a branch's first rows of a table come
                for table in (name, f"read_{name}", f"other_{name}"):
                    branch.execute(f"INSERT INTO {table} VALUES (9)")
                    branch.execute(f"DELETE FROM {table} WHERE i = 9")
        at = name if where == "branch" else "main"
        with server.connect(at) as one, server.connect(at) as two:

            def begin() -> None:
                one.execute("BEGIN")
                one.execute(f"INSERT INTO {name} VALUES (2)")
                one.execute(f"SELECT count(*) FROM read_{name}")
                one.execute("SAVEPOINT a")
                fails(one, "SELECT 1 / 0", "22012")

            begin()
            two.execute(f"INSERT INTO other_{name} VALUES (1)")  # nothing that the block has looked at
            two.execute(f"UPDATE other_{name} SET i = 2")
            one.execute("ROLLBACK TO a")
            assert one.execute(f"SELECT i FROM other_{name}").fetchall() == [(2,)]
            one.execute("ROLLBACK")
            for text in (
                f"INSERT INTO {name} VALUES (50)",
                f"DELETE FROM {name} WHERE i = 50",
                f"INSERT INTO read_{name} VALUES (1)",
                f"BEGIN; UPDATE read_{name} SET i = 5; COMMIT",
                f"CREATE INDEX ON other_{name} (i)",
            ):
                begin()
                two.execute(text)
                for _ in range(2):
                    refused = fails(one, "ROLLBACK TO a", "40001")
                    assert "run the whole transaction again" in (refused.diag.message_hint or "")
                assert one.execute("COMMIT").statusmessage == "ROLLBACK"
                assert rows(two, name) == ([1, 50] if text.endswith("(50)") else [1])
            begin()
            two.execute("BEGIN")
            two.execute(f"INSERT INTO {name} VALUES (60)")  # in flight: not committed
            one.execute("ROLLBACK TO a")
            two.execute("COMMIT")
            assert rows(one, name) == [1, 2]
            one.execute("COMMIT")
            assert rows(two, name) == [1, 2, 60]


def test_a_merge_meanwhile(server: ThreadServer, name: str) -> None:
    with server.connect() as one, server.connect() as two:
        one.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        one.execute(f"BRANCH CREATE {name} FROM main")
        with server.connect(name) as branch:
            branch.execute(f"INSERT INTO {name} VALUES (7)")
        one.execute("BEGIN")
        one.execute(f"INSERT INTO {name} VALUES (2)")
        one.execute("SAVEPOINT a")
        fails(one, "SELECT 1 / 0", "22012")
        two.execute(f"BRANCH MERGE {name} INTO main")
        fails(one, "ROLLBACK TO a", "40001")
        one.execute("ROLLBACK")
        assert rows(one, name) == [7]


def test_main_goes_on_while_a_branch_goes_back(server: ThreadServer, name: str) -> None:
    with server.connect() as main:
        main.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        main.execute(f"INSERT INTO {name} VALUES (1), (2)")
        main.execute(f"BRANCH CREATE {name} FROM main")
        main.execute(f"UPDATE {name} SET i = i + 10")
        with server.connect(name) as branch:
            branch.execute("BEGIN")
            branch.execute(f"UPDATE {name} SET i = i + 20 WHERE i = 1")
            branch.execute("SAVEPOINT a")
            fails(branch, f"INSERT INTO {name} VALUES (2), (2)", "23505")
            main.execute(f"INSERT INTO {name} VALUES (1)")
            main.execute(f"DELETE FROM {name} WHERE i > 10")
            branch.execute("ROLLBACK TO a")
            assert rows(branch, name) == [2, 21]
            branch.execute("COMMIT")
            assert rows(branch, name) == [2, 21]
        assert rows(main, name) == [1]


def test_a_fork_taken_between_the_writes_and_going_back(server: ThreadServer, name: str) -> None:
    with server.connect() as one, server.connect() as two:
        one.execute(f"CREATE TABLE {name} (i int PRIMARY KEY)")
        one.execute(f"INSERT INTO {name} VALUES (1), (2)")
        one.execute("BEGIN")
        one.execute(f"DELETE FROM {name} WHERE i = 1")
        one.execute(f"UPDATE {name} SET i = 3 WHERE i = 2")
        one.execute("SAVEPOINT a")
        fails(one, f"INSERT INTO {name} VALUES (4), (4)", "23505")
        two.execute(f"BRANCH CREATE {name} FROM main")
        one.execute("ROLLBACK TO a")
        one.execute("COMMIT")
        assert rows(one, name) == [3]
        with server.connect(name) as branch:
            assert rows(branch, name) == [1, 2]


def test_views_macros_and_settings_are_what_they_were(place: Any, name: str) -> None:
    place.execute(f"CREATE VIEW v{name} AS SELECT i, now() AS at FROM {name}")
    place.execute(f"CREATE TABLE w{name} (i int, at timestamptz, local timestamp)")
    place.execute("BEGIN")
    place.execute("SET LOCAL TimeZone = 'Asia/Tokyo'")
    place.execute(
        f"INSERT INTO w{name} SELECT i, at, at::timestamp FROM v{name} WHERE current_user = 'alice'"
    )
    place.execute(f"CREATE SCHEMA z{name}")
    place.execute(f"SET LOCAL search_path = z{name}, public")
    place.execute("CREATE TABLE inner_t (i int DEFAULT 3, at timestamptz DEFAULT now())")
    place.execute("INSERT INTO inner_t DEFAULT VALUES")
    place.execute("SAVEPOINT a")
    before = place.execute(f"SELECT * FROM w{name}, inner_t").fetchall()
    place.execute("SET LOCAL TimeZone = 'America/New_York'")
    place.execute("SET LOCAL search_path = public")
    fails(place, "SELECT 1 / 0", "22012")
    place.execute("ROLLBACK TO a")
    assert place.execute("SHOW TimeZone").fetchone() == ("Asia/Tokyo",)
    assert place.execute(f"SELECT * FROM w{name}, inner_t").fetchall() == before
    assert before[0][1] == before[0][4]
    place.execute("COMMIT")
    assert place.execute(f"SELECT count(*) FROM z{name}.inner_t").fetchone() == (1,)
    place.execute(f"INSERT INTO z{name}.inner_t (i) VALUES (4)")
    times = place.execute(f"SELECT at FROM z{name}.inner_t ORDER BY i").fetchall()
    assert times[0] < times[1]  # the default is still the time, not a time


def test_sqlalchemy_begin_nested(server: ThreadServer, name: str, place: Any) -> None:
    where = place.info.dbname
    engine = sqlalchemy.create_engine(f"postgresql+psycopg://alice@127.0.0.1:{server.port}/{where}")
    metadata = sqlalchemy.MetaData()
    table = sqlalchemy.Table(
        f"a{name}",
        metadata,
        sqlalchemy.Column("id", sqlalchemy.Integer, primary_key=True),
        sqlalchemy.Column("name", sqlalchemy.Text, unique=True),
    )
    metadata.create_all(engine)
    with sqlalchemy.orm.Session(engine) as session:
        session.execute(table.insert().values(name="one"))
        for text in ("two", "one", "three", "two"):
            try:
                with session.begin_nested():
                    session.execute(table.insert(), [{"name": f"{text} too"}, {"name": text}])
            except sqlalchemy.exc.IntegrityError:
                session.execute(table.update().where(table.c.name == text).values(name=text + "!"))
        session.commit()
        found = session.execute(sqlalchemy.select(table.c.name).order_by(table.c.id)).scalars().all()
    engine.dispose()
    assert found == ["one!", "two too", "two!", "three too", "three"]


def test_the_way_of_django(place: Any, name: str) -> None:
    """Nested ``atomic``: names of their own, released or rolled back and released."""
    place.execute("BEGIN")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    for number, (value, good) in enumerate([(3, True), (2, False), (4, True), (1, False)]):
        place.execute(f'SAVEPOINT "s139_x{number}"')
        if good:
            place.execute(f"INSERT INTO {name} VALUES (%s) RETURNING i", (value,))
        else:
            with pytest.raises(psycopg.errors.UniqueViolation):
                place.execute(f"INSERT INTO {name} VALUES (%s) RETURNING i", (value,))
            place.execute(f'ROLLBACK TO SAVEPOINT "s139_x{number}"')
        place.execute(f'RELEASE SAVEPOINT "s139_x{number}"')
        assert place.execute(f"SELECT count(*) FROM {name}").fetchone() == (2 + (number + 2) // 2,)
    place.execute("COMMIT")
    assert rows(place, name) == [1, 2, 3, 4]


def test_in_the_extended_protocol_and_a_pipeline(place: Any, name: str) -> None:
    with place.transaction():
        place.execute(f"INSERT INTO {name} VALUES (%s)", (2,), prepare=True)
        place.execute("SAVEPOINT a")
        with pytest.raises(psycopg.Error), place.pipeline():
            place.execute(f"INSERT INTO {name} VALUES (%s)", (3,))
            place.execute("SELECT 1 / %s::int", (0,))
            place.execute(f"INSERT INTO {name} VALUES (%s)", (4,))
        place.execute("ROLLBACK TO a")
        place.execute(f"INSERT INTO {name} VALUES (%s)", (5,), prepare=True)
    assert rows(place, name) == [1, 2, 5]


def test_savepoints_nest_and_keep_their_names(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute("SAVEPOINT a")
    place.execute(f"INSERT INTO {name} VALUES (2)")
    place.execute("SAVEPOINT a")
    place.execute("RELEASE a")  # the inner one
    place.execute("ROLLBACK TO a")
    place.execute("ROLLBACK TO a")  # it is still there
    place.execute(f"INSERT INTO {name} VALUES (5)")
    place.execute("RELEASE a")
    with pytest.raises(psycopg.errors.InvalidSavepointSpecification):
        place.execute("ROLLBACK TO a")
    place.execute("ROLLBACK")
    assert rows(place, name) == [1]


def test_settings_cursors_and_temporary_tables_go_back_too(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute("DECLARE kept CURSOR FOR SELECT 7")
    place.execute("SAVEPOINT a")
    place.execute("SET TimeZone = 'Asia/Tokyo'")
    place.execute(f"DECLARE gone CURSOR FOR SELECT i FROM {name}")
    place.execute("CREATE TEMP TABLE passing AS SELECT 1 AS i")
    place.execute("ROLLBACK TO a")
    assert place.execute("SHOW TimeZone").fetchone() == ("UTC",)
    assert place.execute("FETCH kept").fetchone() == (7,)
    place.execute("SAVEPOINT b")
    for text, state in (("FETCH gone", "34000"), ("SELECT * FROM passing", "42P01")):
        with pytest.raises(psycopg.Error) as caught:
            place.execute(text)
        assert caught.value.sqlstate == state
        place.execute("ROLLBACK TO b")
    place.execute("COMMIT")


def test_only_in_a_block(server: ThreadServer) -> None:
    with RawClient.ready(server.port) as client:
        for text in ("SAVEPOINT a", "RELEASE a", "ROLLBACK TO a", "SELECT 1; SAVEPOINT a"):
            assert error(client.query(text)).sqlstate == "25P01"


def test_deferred_keys_are_kept_through_a_new_beginning(place: Any, name: str) -> None:
    """SET CONSTRAINTS before the first write, which may begin the block anew, and before a savepoint."""
    place.execute(f"CREATE TABLE c{name} (i int CONSTRAINT k{name} REFERENCES {name} DEFERRABLE)")
    place.execute("BEGIN")
    place.execute("SET CONSTRAINTS ALL DEFERRED")
    place.execute("SAVEPOINT a")
    place.execute(f"INSERT INTO c{name} VALUES (9)")
    fails(place, f"INSERT INTO {name} VALUES (1), (1)", "23505")
    place.execute("ROLLBACK TO a")
    place.execute(f"INSERT INTO c{name} VALUES (8)")
    place.execute("SAVEPOINT b")
    place.execute(f"INSERT INTO {name} VALUES (8)")
    place.execute("ROLLBACK TO b")
    fails(place, "COMMIT", "23503")
    assert place.execute(f"SELECT count(*) FROM c{name}").fetchone() == (0,)
    with pytest.raises(psycopg.errors.ForeignKeyViolation), place.transaction():
        place.execute(f"SET CONSTRAINTS k{name} DEFERRED")
        place.execute(f"INSERT INTO c{name} VALUES (7)")
    with place.transaction():
        place.execute(f"SET CONSTRAINTS k{name} DEFERRED")
        place.execute(f"INSERT INTO c{name} VALUES (7)")
        place.execute(f"INSERT INTO {name} VALUES (7)")
    assert place.execute(f"SELECT count(*) FROM c{name}").fetchone() == (1,)


def test_columns_that_draw_are_added_to_a_table_without_rows(place: Any, name: str) -> None:
    place.execute("BEGIN")
    place.execute(f"CREATE TABLE d{name} (i int)")
    place.execute(f"CREATE VIEW v{name} AS SELECT now() AS at")
    place.execute(f"ALTER TABLE d{name} ADD COLUMN at timestamptz DEFAULT now(), ADD COLUMN id serial")
    place.execute(f"INSERT INTO d{name} (i) VALUES (1)")
    place.execute("SAVEPOINT here")
    place.execute(f"INSERT INTO d{name} (i) VALUES (2)")
    fails(place, "SELECT 1 / 0", "22012")
    place.execute("ROLLBACK TO here")
    place.execute(f"INSERT INTO d{name} (i) VALUES (3)")
    place.execute("COMMIT")
    place.execute(f"INSERT INTO d{name} (i) VALUES (4)")
    found = place.execute(
        f"SELECT i, id, at, at < (SELECT at FROM v{name}) FROM d{name} ORDER BY i"
    ).fetchall()
    assert [row[0] for row in found] == [1, 3, 4] and found[0][1] == 1 < found[1][1] < found[2][1]
    assert found[0][2] == found[1][2] < found[2][2]
    assert all(row[3] for row in found)


def test_going_back_can_be_cancelled(place: Any, name: str) -> None:
    place.execute("BEGIN")
    for number in range(100, 400):
        place.execute(f"INSERT INTO {name} VALUES (%s)", (number,))
    place.execute("SAVEPOINT here")
    place.execute("SAVEPOINT timed")
    place.execute("SET LOCAL statement_timeout = '20ms'")
    with pytest.raises(psycopg.Error):
        place.execute("SELECT 1 / 0")
    for _ in range(2):
        fails(place, "ROLLBACK TO timed", "57014")
        fails(place, "SELECT 1", "25P02")
    assert place.execute("ROLLBACK").statusmessage == "ROLLBACK"
    assert rows(place, name) == [1]
