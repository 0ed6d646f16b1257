"""Shadow mode over the wire: what is replayed, what is logged, and that the client never notices."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

SLOW = "SELECT count(*) FROM generate_series(1, 20000) AS a(i), generate_series(1, 20000) AS b(j) WHERE i * j % 7 = 3"


class Watch:
    """A server of the test's own, a session, and what shadow mode has found once it is done."""

    def __init__(self, server: ThreadServer) -> None:
        self.server = server
        self.session = server.connect()

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.session.execute(statement)

    def log(
        self, columns: str = "branch, shadow, statement, rows, shadow_rows, error"
    ) -> list[tuple[Any, ...]]:
        assert self.server.server.service.replays.wait(30)
        with self.server.connect() as other:
            return other.execute(f"SELECT {columns} FROM bough.shadow_log").fetchall()

    def counts(self, shadow: str) -> dict[str, int]:
        assert self.server.server.service.replays.wait(30)
        names = ("replayed", "same", "different", "errors", "skipped", "dropped")
        with self.server.connect() as other:
            row = other.execute(
                f"SELECT {', '.join(names)} FROM bough.shadow_stats WHERE shadow = '{shadow}'"
            ).fetchone()
        return {} if row is None else {name: count for name, count in zip(names, row, strict=True) if count}


@pytest.fixture
def watched(start: Callable[..., ThreadServer]) -> Iterator[Callable[..., Watch]]:
    """Makes a server with branches ``same`` and ``other``, on which row 5 is gone and row 3 moved a little."""
    made: list[Watch] = []

    def make(**settings: object) -> Watch:
        watch = Watch(start(**settings))
        made.append(watch)
        watch.run(
            "CREATE TABLE t (i integer PRIMARY KEY, x double precision, s text)",
            "INSERT INTO t SELECT i, i * 1.1, 's' || i FROM generate_series(1, 100) AS g(i)",
            "BRANCH CREATE same",
            "BRANCH CREATE other",
            "BRANCH SWITCH other",
            "UPDATE t SET x = x + 1e-12 WHERE i = 3",
            "DELETE FROM t WHERE i = 5",
            "BRANCH SWITCH main",
        )
        return watch

    yield make
    for watch in made:
        watch.session.close()


@pytest.fixture
def watch(watched: Callable[..., Watch]) -> Watch:
    return watched()


def test_differences_are_logged_and_matches_only_counted(watch: Watch) -> None:
    watch.run("SET shadow_branches = 'same, other'")
    assert watch.session.execute("SELECT count(*) FROM t").fetchall() == [(100,)]
    assert watch.session.execute("SELECT x FROM t WHERE i = 3").fetchall() == [(3.3,)]
    assert watch.log() == [("main", "other", "SELECT count(*) FROM t", 1, 1, None)]
    assert watch.counts("same") == {"replayed": 2, "same": 2}
    assert watch.counts("other") == {"replayed": 2, "same": 1, "different": 1}
    (row,) = watch.log(
        "role, pid, same, elapsed_ms > 0, shadow_elapsed_ms > 0, lag_ms >= 0, note, parameters, at < now()"
    )
    assert row == ("alice", watch.session.info.backend_pid, False, True, True, True, None, None, True)


def test_parameters_are_replayed_too(watch: Watch) -> None:
    watch.run("SET shadow_branches = other")
    query = "SELECT s FROM t WHERE i = %s AND s = %s"
    for number in (4, 5):
        for binary in (False, True):
            found = watch.session.execute(query, (number, f"s{number}"), binary=binary)
            assert found.fetchall() == [(f"s{number}",)]
    watch.run("PREPARE p (int) AS SELECT i FROM t WHERE i = $1", "EXECUTE p (5)")
    logged = watch.log("rows, shadow_rows, parameters")
    assert logged == [(1, 0, ["5", "s5"])] * 2 + [(1, 0, ["5"])]
    assert watch.counts("other") == {"replayed": 5, "same": 2, "different": 3}


def test_cursors_and_blocks_are_replayed(watch: Watch) -> None:
    watch.run("SET shadow_branches = other")
    with watch.session.transaction():
        watch.session.execute("UPDATE t SET s = 'mine' WHERE i = 4")
        assert watch.session.execute("SELECT s FROM t WHERE i = 4").fetchall() == [("mine",)]
        with watch.session.cursor("rows") as cursor:
            assert cursor.execute("SELECT i FROM t ORDER BY i").fetchmany(3) == [(1,), (2,), (3,)]
        # what only this transaction has says nothing about a branch
        watch.session.execute("CREATE TABLE mine (i integer)")
        watch.session.execute("SELECT * FROM mine")
        assert watch.counts("other")["skipped"] == 1
    assert watch.counts("other") == {"replayed": 2, "same": 1, "different": 1, "skipped": 1}


def test_what_would_say_nothing_is_skipped(watch: Watch) -> None:
    watch.run(
        "CREATE SEQUENCE numbers",
        "CREATE TEMPORARY TABLE own (i integer)",
        "SET shadow_branches = other",
    )
    for number, query in enumerate(
        (
            "SELECT random()",
            "SELECT gen_random_uuid()",
            "SELECT nextval('numbers')",
            "SELECT current_branch()",
            "SELECT set_config('app.x', '1', false), i FROM t",
            "SELECT count(*) FROM t, pg_class",
            "SELECT name FROM bough.branches",
            "SELECT * FROM bough.branch_create('once')",
            "SELECT * FROM own",
            "SELECT * FROM t TABLESAMPLE BERNOULLI (50)",
        ),
        1,
    ):
        watch.run(query)
        assert watch.log() == [], query
        assert watch.counts("other") == {"skipped": number}, query


def test_writes_and_shadows_of_ones_own_branch_are_not_replayed(watch: Watch) -> None:
    watch.run(
        "SET shadow_branches = 'other, main'",
        "INSERT INTO t VALUES (1000, 0, '') RETURNING i",
        "UPDATE t SET s = '' WHERE i = 1",
        "SHOW branch",
        "BRANCH LIST",
        "BRANCH SWITCH other",
        "SELECT count(*) FROM t",
    )
    assert watch.log("branch, shadow") == [("other", "main")]
    watch.run("BRANCH SWITCH same", "DELETE FROM t WHERE i <> 5", "SELECT count(*) FROM t")
    assert watch.log("branch, shadow, rows")[1:] == [("same", "other", 1), ("same", "main", 1)]
    with watch.server.connect() as other:
        assert other.execute("SELECT count(*) FROM t").fetchall() == [(101,)]


def test_an_error_of_a_shadow_is_logged(watch: Watch) -> None:
    watch.run("SET shadow_branches = 'other, same'", "BRANCH SWITCH other", "ALTER TABLE t DROP COLUMN s")
    watch.run("BRANCH SWITCH main", "BRANCH DISCARD same", "SELECT s FROM t WHERE i = 1")
    assert watch.log() == [
        ("main", "other", "SELECT s FROM t WHERE i = 1", 1, None, '42703: column "s" does not exist'),
        ("main", "same", "SELECT s FROM t WHERE i = 1", 1, None, '42704: branch "same" does not exist'),
    ]
    assert watch.counts("same") == {"replayed": 1, "errors": 1}


def test_other_columns_and_open_limits_are_noted(watch: Watch) -> None:
    watch.run(
        "BRANCH SWITCH same",
        "ALTER TABLE t ALTER i TYPE bigint",
        "BRANCH SWITCH other",
        "DELETE FROM t WHERE i < 5",
        "BRANCH SWITCH main",
        "SET shadow_branches = 'same, other'",
        "SELECT i FROM t WHERE i = 99",
        "SELECT s FROM t LIMIT 2",
    )
    assert ("same", "the columns differ") in watch.log("shadow, note")
    assert ("other", "LIMIT without ORDER BY: which rows is left open") in watch.log("shadow, note")


@pytest.mark.slow
def test_a_long_replay_is_stopped(watched: Callable[..., Watch]) -> None:
    watch = watched(shadow_timeout="2s")  # what the second one never takes, however busy the machine
    watch.run("SET shadow_branches = other", SLOW, "SELECT count(*) FROM t")
    logged = watch.log("error, rows")
    assert logged == [("57014: canceling the replay due to shadow_timeout", None), (None, 1)]


def test_a_branch_can_be_discarded_while_it_is_a_shadow(watched: Callable[..., Watch]) -> None:
    watch = watched(shadow_workers="2")
    watch.run("SET shadow_branches = 'same, other'")
    for number in range(60):
        watch.run(f"SELECT count(*) FROM t WHERE i > {number % 5}")
        if number == 30:
            watch.run("BRANCH DISCARD same")
    counts = watch.counts("same")
    assert counts["same"] + counts["errors"] == counts["replayed"] == 60
    assert watch.counts("other") == {"replayed": 60, "different": 60}


def test_what_waits_is_bounded(watched: Callable[..., Watch]) -> None:
    slow = "SELECT count(*) FROM generate_series(1, 3000) AS a(i), generate_series(1, 3000) AS b(j) WHERE i * j % 7 = 3"
    watch = watched(shadow_queue_size="3", shadow_log_size="4")
    watch.run("SET shadow_branches = other", slow, *["SELECT count(*) FROM t"] * 50)
    counts = watch.counts("other")
    assert counts["replayed"] + counts["dropped"] == 51 and counts["dropped"] > 0
    watch.run(*["SELECT count(*) FROM t"] * 3)
    assert len(watch.log()) <= 4
    small = watched(shadow_queue_bytes="2kB")
    small.run("SET shadow_branches = other")
    small.session.execute("SELECT count(*) FROM t WHERE s = %s", ("x" * 5000,))
    assert small.counts("other") == {"dropped": 1}
    assert small.session.execute("SELECT count(*) FROM t").fetchall() == [(100,)]


@pytest.mark.slow
def test_the_sample_rate(watch: Watch) -> None:
    watch.run("SET shadow_branches = other", "SET shadow_sample_rate = 0", "SELECT count(*) FROM t")
    assert watch.counts("other") == {}
    watch.run("SET shadow_sample_rate = 0.5", *["SELECT 1 FROM t"] * 200, "RESET shadow_sample_rate")
    counts = watch.counts("other")
    assert 40 < counts["replayed"] < 160
    watch.run("SELECT count(*) FROM t")
    assert watch.counts("other")["replayed"] == counts["replayed"] + 1


def test_the_setting_is_checked(watch: Watch) -> None:
    session = watch.session
    watch.run("SET shadow_branches = 'other'")
    with pytest.raises(psycopg.errors.UndefinedObject, match='branch "nowhere" does not exist'):
        session.execute("SET shadow_branches = 'same, nowhere'")
    for wrong in ("same,", ",same", 'a"b', '"', "same,,other"):
        with pytest.raises(psycopg.errors.InvalidParameterValue):
            session.execute("SELECT set_config('shadow_branches', %s, false)", (wrong,))
    assert session.execute("SHOW shadow_branches").fetchone() == ("other",)
    watch.run('BRANCH CREATE "a,""b"')
    session.execute("SELECT set_config('shadow_branches', %s, false)", (' same , "a,""b",same',))
    assert session.execute("SHOW shadow_branches").fetchone() == ('same, "a,""b"',)
    watch.run("SELECT count(*) FROM t")
    assert watch.counts('a,"b') == {"replayed": 1, "same": 1}


@pytest.mark.parametrize(
    "statement", ["SET shadow_branches = ''", "RESET shadow_branches", "RESET ALL", "DISCARD ALL"]
)
def test_it_ends(watch: Watch, statement: str) -> None:
    watch.run("SET shadow_branches = other", statement, "SELECT count(*) FROM t")
    assert watch.session.execute("SHOW shadow_branches").fetchone() == ("",)
    assert watch.log() == [] and watch.counts("other") == {}


def test_set_local_lasts_a_transaction(watch: Watch) -> None:
    with watch.session.transaction():
        watch.run("SET LOCAL shadow_branches = other", "SELECT count(*) FROM t")
    watch.run("SELECT count(*) FROM t")
    assert watch.counts("other") == {"replayed": 1, "different": 1}


def test_a_startup_option_that_names_no_branch_keeps_nobody_out(watch: Watch) -> None:
    with watch.server.connect(options="-c shadow_branches=gone,other") as connection:
        heard: list[str | None] = []
        connection.add_notice_handler(lambda notice: heard.append(notice.message_primary))
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (100,)
        assert heard == ["shadow_branches names branches that do not exist: gone"]
    assert sorted(watch.log("shadow, error")) == [
        ("gone", '42704: branch "gone" does not exist'),
        ("other", None),
    ]


def test_it_can_be_turned_off(watched: Callable[..., Watch]) -> None:
    watch = watched(shadow_mode_enabled="off")
    heard: list[str | None] = []
    watch.session.add_notice_handler(lambda notice: heard.append(notice.message_primary))
    watch.run("SET shadow_branches = other", "SELECT count(*) FROM t")
    assert heard == ["shadow mode is turned off on this server (shadow_mode_enabled): nothing is replayed"]
    assert watch.log() == [] and watch.counts("other") == {}
    assert not watch.server.server.service.replays._threads


@pytest.mark.slow
def test_the_server_ends_while_it_replays(watched: Callable[..., Watch]) -> None:
    watch = watched()
    watch.run("SET shadow_branches = other", SLOW, *["SELECT count(*) FROM t"] * 20)
    watch.session.close()  # (the fixture stops the server, which must not take long)
