"""The manifest: the tables in the database file that record branches, catalogs and versions.

One row per fact, written in the transaction the fact belongs to; nothing here is cached. ``objects`` is a log: a
line's catalog after its n-th change is the fold of its rows up to n over the catalog it started with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from branching import codec
from branching.engine.base import Cursor
from branching.engine.points import Point
from branching.lines import MAIN, TRUNK, CatalogRef, Record
from branching.model import Catalog, Object
from branching.names import DATA_SCHEMA, VERSION
from branching.names import MANIFEST_SCHEMA as M
from branching.physical import BaseTable

FORMAT = 1
_FEW = 10  # commits up to which they are parameters: each of hundreds takes the engine longer than its row
_COMMIT = (
    "BIGINT",
    "BIGINT",
    "TIMESTAMPTZ",
    *["VARCHAR"] * 4,
    "BIGINT",
    "VARCHAR",
    *["BIGINT"] * 3,
    "BOOLEAN",
)
_MARK = "commits_marked"  # key in meta, see commit_log

_TABLES = (
    f"CREATE TABLE {M}.meta (key VARCHAR PRIMARY KEY, value VARCHAR NOT NULL)",
    f"""CREATE TABLE {M}.branches (
        id BIGINT PRIMARY KEY, name VARCHAR NOT NULL, parent BIGINT, fork VARCHAR NOT NULL,
        parent_line BIGINT NOT NULL, parent_seq BIGINT NOT NULL,
        base VARCHAR NOT NULL, base_line BIGINT NOT NULL, base_seq BIGINT NOT NULL,
        created_at TIMESTAMPTZ NOT NULL, created_by VARCHAR NOT NULL, state VARCHAR NOT NULL,
        ttl BIGINT, last_used_at TIMESTAMPTZ, last_write_at TIMESTAMPTZ, discarded_at TIMESTAMPTZ,
        protected BOOLEAN NOT NULL, comment VARCHAR, owner VARCHAR, inherited BOOLEAN NOT NULL)""",
    f"""CREATE TABLE {M}.objects (
        line BIGINT NOT NULL, seq BIGINT NOT NULL, kind VARCHAR NOT NULL, schema_name VARCHAR NOT NULL,
        name VARCHAR NOT NULL, dropped BOOLEAN NOT NULL, definition VARCHAR NOT NULL, version BIGINT)""",
    f"""CREATE TABLE {M}.bases (
        id BIGINT NOT NULL, schema_name VARCHAR NOT NULL, name VARCHAR NOT NULL, columns VARCHAR NOT NULL)""",
    f"CREATE TABLE {M}.touched (branch BIGINT NOT NULL, table_id BIGINT NOT NULL)",
    f"""CREATE TABLE {M}.commits (
        version BIGINT NOT NULL, branch BIGINT NOT NULL, committed_at TIMESTAMPTZ NOT NULL, role VARCHAR,
        application_name VARCHAR, agent VARCHAR, request_id VARCHAR, merge_id BIGINT, statement VARCHAR,
        inserted BIGINT NOT NULL, updated BIGINT NOT NULL, deleted BIGINT NOT NULL, kept BOOLEAN)""",
    f"""CREATE TABLE {M}.merges (
        id BIGINT PRIMARY KEY, merged_at TIMESTAMPTZ NOT NULL, source VARCHAR NOT NULL, target VARCHAR NOT NULL,
        strategy VARCHAR NOT NULL, state VARCHAR NOT NULL, role VARCHAR, version BIGINT, detail VARCHAR)""",
    f"""CREATE TABLE {M}.conflicts (
        id BIGINT PRIMARY KEY, merge_id BIGINT NOT NULL, schema_name VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
        table_id BIGINT NOT NULL, rid BIGINT, key VARCHAR, kind VARCHAR NOT NULL, column_name VARCHAR,
        base VARCHAR, branch_value VARCHAR, target_value VARCHAR, resolution VARCHAR, value VARCHAR)""",
    f"""CREATE TABLE {M}.violations (
        merge_id BIGINT NOT NULL, schema_name VARCHAR NOT NULL, table_name VARCHAR NOT NULL,
        constraint_name VARCHAR NOT NULL, kind VARCHAR NOT NULL, key VARCHAR, detail VARCHAR)""",
)


def exists(cursor: Cursor) -> bool:
    """Whether the database has a manifest (has been adopted)."""
    return (M, "meta") in cursor.tables()


def create(cursor: Cursor) -> None:
    for statement in (*cursor.engine.create_manifest(), *_TABLES):
        cursor.execute(statement)
    cursor.execute(f"INSERT INTO {M}.meta VALUES ('format', '{FORMAT}')")


def complete(cursor: Cursor) -> None:
    """Adds the columns that older files of this format lack."""
    cursor.execute(cursor.engine.add_column(f"{M}.objects", "version BIGINT"))
    cursor.execute(cursor.engine.add_column(f"{M}.commits", "kept BOOLEAN"))


def read_format(cursor: Cursor) -> int:
    return int(cursor.query(f"SELECT value FROM {M}.meta WHERE key = 'format'")[0][0])


# -- branches -------------------------------------------------------------------------------------------------

_BRANCH_COLUMNS = (
    "id, name, parent, fork, parent_line, parent_seq, base, base_line, base_seq, created_at, created_by, state, ttl,"
    " last_used_at, last_write_at, discarded_at, protected, comment, owner, inherited"
)


def trunk_record(now: datetime) -> Record:
    start = Point(0)
    nowhere = CatalogRef(TRUNK, 0)
    return Record(TRUNK, MAIN, None, start, nowhere, start, nowhere, now, "bough", protected=False)


def branch_rows(cursor: Cursor) -> list[Record]:
    rows = cursor.query(f"SELECT {_BRANCH_COLUMNS} FROM {M}.branches ORDER BY id")
    return [_record(row) for row in rows]


def _record(row: tuple[Any, ...]) -> Record:
    return Record(
        row[0], row[1], row[2], Point.load(row[3]), CatalogRef(row[4], row[5]), Point.load(row[6]),
        CatalogRef(row[7], row[8]), row[9], row[10], row[11], row[12], row[13], row[14], row[15], row[16],
        row[17], row[18], row[19],
    )  # fmt: skip


def _branch_values(record: Record) -> tuple[Any, ...]:
    return (
        record.id, record.name, record.parent, record.fork.dump(), record.parent_catalog.line,
        record.parent_catalog.seq, record.base.dump(), record.base_catalog.line, record.base_catalog.seq,
        record.created_at, record.created_by, record.state, record.ttl, record.last_used_at,
        record.last_write_at, record.discarded_at, record.protected, record.comment, record.owner,
        record.inherited,
    )  # fmt: skip


def insert_branch(cursor: Cursor, record: Record) -> None:
    marks = ", ".join("?" * 20)
    cursor.execute(f"INSERT INTO {M}.branches VALUES ({marks})", _branch_values(record))


def update_branch(cursor: Cursor, record: Record) -> None:
    """Stores the changeable fields of ``record``."""
    cursor.execute(
        f"UPDATE {M}.branches SET name = ?, base = ?, base_line = ?, base_seq = ?, state = ?, ttl = ?,"
        " last_used_at = ?, last_write_at = ?, discarded_at = ?, protected = ?, comment = ?, owner = ?,"
        " inherited = ?, fork = ?, parent_line = ?, parent_seq = ?, parent = ? WHERE id = ?",
        (
            record.name, record.base.dump(), record.base_catalog.line, record.base_catalog.seq, record.state,
            record.ttl, record.last_used_at, record.last_write_at, record.discarded_at, record.protected,
            record.comment, record.owner, record.inherited, record.fork.dump(), record.parent_catalog.line,
            record.parent_catalog.seq, record.parent, record.id,
        ),
    )  # fmt: skip


def update_columns(cursor: Cursor, branch: int, values: Mapping[str, object]) -> None:
    """Stores these columns of a branch's row and leaves the others to whoever writes them."""
    assigned = ", ".join(f"{name} = ?" for name in values)
    cursor.execute(f"UPDATE {M}.branches SET {assigned} WHERE id = ?", (*values.values(), branch))


def rename_branch(cursor: Cursor, branch: int, name: str, to: str) -> None:
    """A branch's new name, also in its merges: open ones go on, and applied ones can be reverted."""
    update_columns(cursor, branch, {"name": to})
    for column in ("source", "target"):
        cursor.execute(f"UPDATE {M}.merges SET {column} = ? WHERE {column} = ?", (to, name))


def delete_branch(cursor: Cursor, branch: int) -> None:
    for table, column in (("touched", "branch"), ("branches", "id")):
        cursor.execute(f"DELETE FROM {M}.{table} WHERE {column} = ?", (branch,))


def touched_rows(cursor: Cursor) -> list[tuple[int, int]]:
    return cursor.query(f"SELECT branch, table_id FROM {M}.touched")


def insert_touched(cursor: Cursor, branch: int, tables: Iterable[int]) -> None:
    if rows := ", ".join(f"({branch}, {table})" for table in tables):
        cursor.execute(f"INSERT INTO {M}.touched VALUES {rows}")


# -- catalogs -------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Change:
    """One change of a line's catalog: ``item`` is in it from now on, or no longer."""

    item: Object
    dropped: bool = False

    def apply(self, catalog: Catalog) -> Catalog:
        return catalog.without(self.item) if self.dropped else catalog.with_object(self.item)


def insert_changes(
    cursor: Cursor, line: int, first_seq: int, changes: Iterable[Change], version: int = 0
) -> None:
    for number, change in enumerate(changes, first_seq):
        item = change.item
        cursor.execute(
            f"INSERT INTO {M}.objects VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                line,
                number,
                codec.kind_of(item),
                getattr(item, "schema", ""),
                item.name,
                change.dropped,
                codec.dump(item),
                version,
            ),
        )


def change_rows(cursor: Cursor) -> list[tuple[int, int, Change, int]]:
    """(line, seq, change, the version that made it), in order."""
    rows = cursor.query(
        "SELECT line, seq, kind, dropped, definition, coalesce(version, 0)"
        f" FROM {M}.objects ORDER BY line, seq"
    )
    return [(row[0], row[1], Change(codec.load(row[2], row[4]), row[3]), row[5]) for row in rows]


# -- base tables ------------------------------------------------------------------------------------------------


def base_rows(cursor: Cursor) -> list[BaseTable]:
    rows = cursor.query(f"SELECT id, schema_name, name, columns FROM {M}.bases")
    return [BaseTable.load(*row) for row in rows]


def put_base(cursor: Cursor, base: BaseTable) -> None:
    cursor.execute(f"DELETE FROM {M}.bases WHERE id = ?", (base.id,))
    cursor.execute(
        f"INSERT INTO {M}.bases VALUES (?, ?, ?, ?)", (base.id, base.schema, base.name, base.dump_columns())
    )


def delete_base(cursor: Cursor, base: int) -> None:
    cursor.execute(f"DELETE FROM {M}.bases WHERE id = ?", (base,))


def storage_tables(cursor: Cursor) -> frozenset[str]:
    return frozenset(name for schema, name in cursor.tables() if schema == DATA_SCHEMA)


# -- versions and merges ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Author:
    """Who writes: recorded with every commit."""

    role: str = "bough"
    application_name: str = ""
    agent: str = ""
    request_id: str = ""


@dataclass(frozen=True, slots=True)
class Commit:
    """A row of the log: who committed what on which branch, and how many rows that changed."""

    version: int
    branch: int
    author: Author
    statement: str | None
    counts: tuple[int, int, int]  # inserted, updated, deleted
    merge: int | None = None
    at: datetime | None = None  # None: now
    kept: bool = False  # old images of all that it changed are there, so the state before it can be read


def insert_commits(cursor: Cursor, commits: Iterable[Commit]) -> None:
    rows = [
        (
            commit.version, commit.branch, commit.at or now(), commit.author.role, commit.author.application_name,
            commit.author.agent or None, commit.author.request_id or None, commit.merge, commit.statement,
            *commit.counts, commit.kept,
        )
        for commit in commits
    ]  # fmt: skip
    if len(rows) > _FEW and (many := cursor.engine.rows_of_lists(_COMMIT)) is not None:
        cursor.execute(
            f"INSERT INTO {M}.commits {many}", [list(column) for column in zip(*rows, strict=True)]
        )
        return
    places = ", ".join([f"({', '.join('?' * len(_COMMIT))})"] * len(rows))
    cursor.execute(f"INSERT INTO {M}.commits VALUES {places}", [value for row in rows for value in row])


def recover_commits(cursor: Cursor, storage: str, branch: int, mark: int) -> None:
    """Entries for versions above ``mark`` that rows of ``storage`` carry and the log does not know."""
    cursor.execute(
        f"INSERT INTO {M}.commits SELECT {VERSION}, {branch}, CAST(? AS TIMESTAMPTZ), NULL, NULL, NULL, NULL, NULL,"
        f" NULL, count(*), 0, 0, true"
        f" FROM {storage} WHERE {VERSION} > {mark} AND {VERSION} NOT IN (SELECT version FROM {M}.commits)"
        f" GROUP BY {VERSION}",
        (now(),),
    )


def read_mark(cursor: Cursor) -> int | None:
    """The version above which ``commits`` may lack some, if the last run did not end well."""
    found = cursor.query(f"SELECT value FROM {M}.meta WHERE key = '{_MARK}'")
    return int(found[0][0]) if found else None


def put_mark(cursor: Cursor, version: int | None) -> None:
    if version is None:
        cursor.execute(f"DELETE FROM {M}.meta WHERE key = '{_MARK}'")
    else:
        _put_meta(cursor, _MARK, version)


def committed(cursor: Cursor, version: int) -> bool:
    """Whether the transaction of ``version`` is durable: the truth after an error at COMMIT."""
    return bool(cursor.query(f"SELECT count(*) FROM {M}.commits WHERE version = ?", (version,))[0][0])


def floors(cursor: Cursor) -> dict[int, int]:
    """Per line, the last version whose change left no old images: nothing before it can be read."""
    rows = cursor.query(
        f"SELECT branch, max(version) FROM {M}.commits WHERE NOT coalesce(kept, false) GROUP BY branch"
    )
    found: dict[int, int] = dict(rows)
    for key, value in cursor.query(f"SELECT key, value FROM {M}.meta WHERE key LIKE 'floor %'"):
        line = int(key.removeprefix("floor "))
        found[line] = max(int(value), found.get(line, 0))
    return found


def put_floor(cursor: Cursor, line: int, version: int) -> None:
    """Records that the line's images from before ``version`` are about to be deleted."""
    cursor.execute(
        f"INSERT INTO {M}.meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (f"floor {line}", str(version)),
    )


def instant_of(cursor: Cursor, version: int) -> tuple[datetime | None, bool]:
    """When ``version`` was committed, and whether it was at all: else when the last version before it was."""
    found = cursor.query(f"SELECT committed_at FROM {M}.commits WHERE version = ?", (version,))
    if found:
        return found[0][0], True
    return cursor.query(f"SELECT max(committed_at) FROM {M}.commits WHERE version < ?", (version,))[0][
        0
    ], False


def last_instant(cursor: Cursor) -> datetime | None:
    instant: datetime | None = cursor.query(f"SELECT max(committed_at) FROM {M}.commits")[0][0]
    return instant


def commits_around(cursor: Cursor, line: int, instant: datetime) -> tuple[int, int | None, list[int]]:
    """Of a line's versions: the highest committed by an instant, the lowest committed only later, and all of those
    that are below the highest."""
    last, first = cursor.query(
        f"SELECT coalesce(max(version) FILTER (WHERE committed_at <= ?), 0),"
        f" min(version) FILTER (WHERE committed_at > ?) FROM {M}.commits WHERE branch = ?",
        (instant, instant, line),
    )[0]
    between = cursor.query(
        f"SELECT version FROM {M}.commits WHERE branch = ? AND committed_at > ? AND version < ? ORDER BY 1",
        (line, instant, last),
    )
    return last, first, [row[0] for row in between]


def first_version_after(cursor: Cursor, instant: datetime) -> int | None:
    """The lowest version committed after an instant."""
    found = cursor.query(f"SELECT min(version) FROM {M}.commits WHERE committed_at > ?", (instant,))[0][0]
    return None if found is None else int(found)


def last_numbers(cursor: Cursor) -> tuple[int, int]:
    """The highest version and the highest id ever recorded."""
    version = cursor.query(f"SELECT coalesce(max(version), 0) FROM {M}.commits")[0][0]
    identifier = cursor.query(f"SELECT value FROM {M}.meta WHERE key = 'last_id'")
    return version, int(identifier[0][0]) if identifier else 0


def last_commit(cursor: Cursor) -> tuple[int, str, datetime] | None:
    """The last commit's version, the name of its branch ("?" if that is gone) and its time."""
    found = cursor.query(
        f"SELECT c.version, coalesce(b.name, '?'), c.committed_at FROM {M}.commits AS c"
        f" LEFT JOIN {M}.branches AS b ON b.id = c.branch ORDER BY c.version DESC LIMIT 1"
    )
    return found[0] if found else None


def reserve_ids(cursor: Cursor, up_to: int) -> None:
    """Makes ``up_to`` the number below which ids count as used after a restart."""
    _put_meta(cursor, "last_id", up_to)


def _put_meta(cursor: Cursor, key: str, value: int) -> None:
    cursor.execute(
        f"INSERT INTO {M}.meta VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
        (key, str(value)),
    )


def now() -> datetime:
    return datetime.now(UTC)
