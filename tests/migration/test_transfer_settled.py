"""What broke off while it published is settled by whoever comes next: by one at a time, in writing before anything is
dropped, and nobody adds the same rows twice without a word."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pytest

from migration.connectors import connect
from migration.connectors.base import Connector, Source
from migration.connectors.sqlite import SqliteWriter
from migration.datasources.datasource import datasource
from migration.errors import MigrationError
from migration.transfer import settling, staging
from migration.transfer.journal import Journal
from migration.transfer.undertaking import abandon, resume, undertake
from migration.transfer_model import TransferRequest

APPENDED = TransferRequest(
    Source(path=("main", "s")), ("t",), mode="append", source_name="here", target_name="there"
)


class Killed(BaseException):
    """The process ends here: nothing tidies up."""


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Connector]:
    with duckdb.connect(str(tmp_path / "source.duckdb")) as connection:
        connection.execute("CREATE TABLE s AS SELECT * FROM range(1, 4) AS t(id)")
        connection.execute("CREATE TABLE other AS SELECT 9 AS id")
    with closing(
        connect(datasource("here", "duckdb", {"path": str(tmp_path / "source.duckdb")}))
    ) as connector:
        yield connector


@pytest.fixture
def target(tmp_path: Path) -> Iterator[Connector]:
    with closing(there(tmp_path / "target.sqlite")) as connector:
        yield connector


def there(file: Path) -> Connector:
    with closing(sqlite3.connect(file)) as made:
        made.execute("CREATE TABLE IF NOT EXISTS t (id INTEGER)")
    return connect(datasource("there", "sqlite", {"path": str(file), "role": "read_write"}))


def ids(target: Connector) -> list[int]:
    with target.writer() as writer:
        return [int(str(row[0])) for row in writer.rows("SELECT id FROM t ORDER BY id")]


def broken_off(source: Connector, target: Connector, *, published: bool) -> Journal:
    """The journal of a transfer that was killed before or behind the COMMIT that publishes, at the next start."""
    journal = Journal()
    publish = SqliteWriter.publish

    def killed(self: SqliteWriter, *given: Any) -> Any:
        if published:
            publish(self, *given)
        raise Killed

    with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
        patch.setattr(SqliteWriter, "publish", killed)
        patch.setattr("migration.transfer.publication.has_taken", lambda *given, **more: None)
        undertake(APPENDED, source, target, journal=journal)
    journal.update(1, state="publishing", error="the server ended while it published")
    return journal


@pytest.mark.parametrize("mode", ["append", "create"])
def test_the_same_rows_are_refused_once(source: Connector, target: Connector, mode: Any) -> None:
    journal = broken_off(source, target, published=True)
    with journal._transaction() as connection:
        connection.execute(
            "UPDATE transfers SET mode = ?, request = json_set(request, '$.mode', ?)", (mode, mode)
        )
    request = replace(APPENDED, mode=mode)
    with pytest.raises(MigrationError, match="transfer 1, the same as this one, had been") as refusal:
        undertake(request, source, target, journal=journal)
    assert refusal.value.sqlstate == "55000"
    assert 'Its 3 rows are in "there.t"' in str(refusal.value.detail)
    assert ("once more" in str(refusal.value.hint)) == (mode == "append")
    assert [entry.state for entry in journal.entries()] == ["failed", "done"]
    assert ids(target) == [1, 2, 3]
    if mode == "append":
        undertake(request, source, target, journal=journal)
        assert ids(target) == [1, 1, 2, 2, 3, 3]


def test_the_same_rows_are_added_where_they_had_not_been_published(
    source: Connector, target: Connector
) -> None:
    journal = broken_off(source, target, published=False)
    result = undertake(APPENDED, source, target, journal=journal)
    assert "transfer 1, which had broken off, had not been published" in result.notes
    assert [entry.state for entry in journal.entries()] == ["done", "failed"]
    assert ids(target) == [1, 2, 3]
    with target.writer() as writer:
        assert writer.leftovers() == ()


def test_other_rows_are_added_and_a_note_says_what_became_of_the_earlier_ones(
    source: Connector, target: Connector
) -> None:
    journal = broken_off(source, target, published=True)
    other = replace(APPENDED, source=Source(path=("main", "other")))
    result = undertake(other, source, target, journal=journal)
    assert "transfer 1, which had broken off, had been published" in result.notes
    assert [entry.state for entry in journal.entries()] == ["done", "done"]
    assert ids(target) == [1, 2, 3, 9]


def test_a_resume_does_not_add_what_another_attempt_has_published(
    source: Connector, target: Connector
) -> None:
    journal = broken_off(source, target, published=True)
    earlier = journal.begin(source="here.main.s", target="there.t", mode="append", request=APPENDED.to_json())
    journal.update(earlier, state="failed", error="the disk was full")
    with pytest.raises(MigrationError, match="transfer 1, the same as this one, had been"):
        resume(journal, earlier, source, target)
    assert ids(target) == [1, 2, 3]


@pytest.mark.parametrize("state", ["interrupted", "failed", "cancelled", "publishing"])
def test_a_resume_of_one_that_was_run_again_meanwhile_is_refused_once(
    source: Connector, target: Connector, state: Any
) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state=state)
    undertake(APPENDED, source, target, journal=journal)
    with pytest.raises(MigrationError, match="transfer 2, the same as 1, has been published") as refusal:
        resume(journal, 1, source, target)
    assert refusal.value.sqlstate == "55000"
    assert "Its 3 rows" in str(refusal.value.detail)
    assert "Nothing is left to do" in str(refusal.value.hint)
    assert ids(target) == [1, 2, 3]
    resume(journal, 1, source, target)
    assert ids(target) == [1, 1, 2, 2, 3, 3]


def test_a_later_one_that_was_resumed_earlier_counts_too(source: Connector, target: Connector) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state="failed")
    later = journal.begin(source="here.main.s", target="there.t", mode="append", request=APPENDED.to_json())
    journal.update(later, state="failed", error="the disk was full")
    resume(journal, 1, source, target)
    with pytest.raises(MigrationError, match="transfer 1, the same as 2, has been published"):
        resume(journal, later, source, target)


def test_one_that_puts_other_rows_meanwhile_is_no_reason(source: Connector, target: Connector) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state="failed")
    undertake(replace(APPENDED, source=Source(path=("main", "other"))), source, target, journal=journal)
    resume(journal, 1, source, target)
    assert ids(target) == [1, 2, 3, 9]


@pytest.mark.parametrize("how", ["resume", "cancel", "again"])
def test_who_settles_it_may_be_killed_before_staging_is_dropped_or_behind_it(
    source: Connector, target: Connector, how: str
) -> None:
    journal = broken_off(source, target, published=False)
    drop = SqliteWriter.drop
    for behind in (False, True):

        def killed(self: SqliteWriter, path: Any, behind: bool = behind) -> None:
            if behind:
                drop(self, path)
            raise Killed

        with pytest.MonkeyPatch.context() as patch, pytest.raises(Killed):
            patch.setattr(SqliteWriter, "drop", killed)
            if how == "resume":
                resume(journal, 1, source, target)
            elif how == "cancel":
                abandon(journal, 1, source, target)
            else:
                undertake(APPENDED, source, target, journal=journal)
        journal.interrupt_orphans()
    resume(journal, 1, source, target)
    assert ids(target) == [1, 2, 3]


def test_a_refusal_is_written_down_before_its_staging_is_dropped(
    source: Connector, target: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.execute("CREATE UNIQUE INDEX u ON t (id)")
    target.execute("INSERT INTO t VALUES (3)")
    journal = Journal()
    drop = staging.drop_quietly

    def killed(*given: Any) -> bool:
        drop(*given)
        raise Killed

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(staging, "drop_quietly", killed)
        undertake(APPENDED, source, target, journal=journal)
    journal.interrupt_orphans()
    with pytest.raises(MigrationError) as refusal:
        resume(journal, 1, source, target)
    assert refusal.value.sqlstate == "23505"
    target.execute("DELETE FROM t")
    resume(journal, 1, source, target)
    assert ids(target) == [1, 2, 3]


@pytest.mark.parametrize("published", [True, False])
def test_of_two_who_resume_it_one_does(source: Connector, target: Connector, published: bool) -> None:
    """The second comes while the first has looked, and not dropped staging yet."""
    journal = broken_off(source, target, published=published)
    clear = settling.clear
    refusals: list[MigrationError] = []

    def meanwhile(*given: Any) -> None:
        for other in (
            lambda: resume(journal, 1, source, target),
            lambda: abandon(journal, 1, source, target),
        ):
            with pytest.raises(MigrationError) as refusal:
                other()
            refusals.append(refusal.value)
        clear(*given)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(settling, "clear", meanwhile)
        if published:
            with pytest.raises(MigrationError, match="it had been published"):
                resume(journal, 1, source, target)
        else:
            resume(journal, 1, source, target)
    assert {each.sqlstate for each in refusals} == {"55000"}
    assert (ids(target), journal.entries()[0].state) == ([1, 2, 3], "done")


def test_of_many_who_resume_at_once_one_does(source: Connector, target: Connector) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state="interrupted")
    together = threading.Barrier(4)
    answers: list[str] = []

    def resuming() -> None:
        together.wait(60)
        try:
            resume(journal, 1, source, target)
        except MigrationError as error:
            answers.append(error.sqlstate)
        else:
            answers.append("done")

    threads = [threading.Thread(target=resuming, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(answers) == ["55000", "55000", "55000", "done"]
    assert ids(target) == [1, 2, 3]


@pytest.mark.parametrize("published", [True, False])
def test_a_datasource_that_is_another_now_tells_nothing(
    source: Connector, target: Connector, published: bool, tmp_path: Path
) -> None:
    journal = broken_off(source, target, published=published)
    with closing(there(tmp_path / "elsewhere.sqlite")) as elsewhere:
        for come in (
            lambda: resume(journal, 1, source, elsewhere),
            lambda: undertake(APPENDED, source, elsewhere, journal=journal),
        ):
            with pytest.raises(MigrationError, match="which was another then") as refusal:
                come()
            assert refusal.value.sqlstate == "55000"
        assert ids(elsewhere) == []
        if published:
            with pytest.raises(MigrationError, match="it had been published"):
                resume(journal, 1, source, target)
        else:
            assert not abandon(journal, 1, source, elsewhere)
            entry = journal.entry(1)
            assert entry is not None and "nobody can tell whether its 3 rows arrived" in str(entry.error)
            undertake(APPENDED, source, elsewhere, journal=journal)
            assert ids(elsewhere) == [1, 2, 3]


def test_one_that_cannot_be_given_up_stays_as_it_was(
    source: Connector, target: Connector, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state="interrupted")

    def gone(self: SqliteWriter, path: Any) -> None:
        raise MigrationError("HV00N", "the server closed the connection")

    with monkeypatch.context() as patch, pytest.raises(MigrationError, match="closed the connection"):
        patch.setattr(SqliteWriter, "drop", gone)
        abandon(journal, 1, source, target)
    assert journal.entries()[0].state == "interrupted"
    assert abandon(journal, 1, source, target)
    assert journal.entries()[0].state == "cancelled"


def test_a_resume_in_another_database_starts_again_and_says_what_it_leaves(
    source: Connector, target: Connector, tmp_path: Path
) -> None:
    journal = broken_off(source, target, published=False)
    journal.update(1, state="interrupted")
    staged = journal.entries()[0].staging
    assert staged is not None
    with closing(there(tmp_path / "elsewhere.sqlite")) as elsewhere:
        result = resume(journal, 1, source, elsewhere)
        assert f'staging table "{staged[-1]}" stays in the database that "there" meant before' in result.notes
        assert ids(elsewhere) == [1, 2, 3]
        entry = journal.entry(1)
        assert entry is not None and entry.request["place"] == settling.place_of(elsewhere)
    assert ids(target) == []
