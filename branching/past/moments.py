"""Lines as they were: what ``AS OF VERSION n`` and ``AS OF TIMESTAMP 't'`` mean, and the rows of a table then.

A version means the instant at which it was committed, so a version and its time name the same state, and that state
was once the present. Rules:

1. What an instant needs is never guessed: a line can be read as of every point that holds all versions up to its floor
   (the last one that left no old images), at its own fork, and where live branches were forked from it. Everything
   else is refused with what can be read: an answer that silently lacks rows would be worse than none.
2. The catalog is that of the instant too: tables that were dropped or altered since read as they were.
3. Before a branch was forked, it was its parent.
4. What a plan takes for readable is asked again after its snapshot was taken (``Reached``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import TYPE_CHECKING

from sqlglot import exp

from branching import manifest
from branching.engine.points import Point
from branching.errors import BoughError
from branching.lines import TRUNK, CatalogRef, Line
from branching.model import DEFAULT_SCHEMA, Catalog, Schema, Table

if TYPE_CHECKING:
    from branching.database import Database

Moment = int | datetime  # a version, or a time
_SHOWN = 10  # fork points that an error lists


@dataclass(frozen=True, slots=True)
class Reached:
    """The state of a line at an instant.

    ``rows`` is the line whose storage has it. ``point`` None: the base of ``rows``, which its own images keep.
    ``holder`` is the branch whose fork point it is, where that alone keeps it.
    """

    line: Line
    rows: Line
    point: Point | None
    holder: Line | None = None

    def still_true(self, database: Database) -> bool:
        if self.holder is not None:
            return database.lines.get(self.holder.id) is self.holder
        return self.point is None or _kept(database, self.line, self.point)


def moment_of(version: exp.Expr, timestamp: Callable[[str], datetime] | None) -> Moment:
    """The moment that an ``AS OF`` of a statement names."""
    value = version.args.get("expression")
    while isinstance(value, exp.Cast | exp.Paren):
        value = value.this
    if not isinstance(value, exp.Literal):
        raise BoughError(
            "42601",
            "AS OF needs a version or a time as a literal",
            detail="The moment must be known before the statement is planned.",
            hint="FROM t AS OF VERSION 12, or FROM t AS OF TIMESTAMP '2024-05-01 12:00'.",
        )
    if str(version.this).upper() == "VERSION":
        if value.is_string or not value.name.isdigit():
            raise BoughError(
                "22023",
                f'invalid version "{value.name}"',
                hint="bough.commits lists the versions.",
                detail="A version is a whole number.",
            )
        return int(value.name)
    if timestamp is None:
        raise BoughError(
            "0A000",
            "AS OF TIMESTAMP is not possible here",
            detail="A time is read in the time zone of a session, and there is none.",
            hint="AS OF VERSION n names the same moment; bough.commits lists the versions.",
        )
    return timestamp(value.name)


def reach(database: Database, line: Line, moment: Moment) -> Reached:
    """The line as of a moment, or the line that it was then. 22023 where that is no longer kept."""
    asked = line
    instant, exact = _instant(database, moment)
    while True:
        fork = _fork_point(database, line, moment) if isinstance(moment, int) else None
        if fork is not None and not exact:
            return fork
        if line.is_trunk or instant >= line.record.created_at:
            break
        parent = database.lines.get(line.record.parent or TRUNK)
        if parent is None:
            raise _gone(database, asked, line, moment)
        line = database.loaded(parent)
    last, point = _point(database, line, instant)
    if not line.is_trunk and last <= line.record.base.version <= point.version:
        return Reached(line, line, None)
    if not _kept(database, line, point):
        if fork is not None:
            return fork
        raise _gone(database, asked, line, moment)
    return Reached(line, line, point)


def _instant(database: Database, moment: Moment) -> tuple[datetime, bool]:
    """The time that a moment means, and whether a version of that number was committed then."""
    now = manifest.now()
    if isinstance(moment, datetime):
        return min(moment, now), True
    if moment > database.clock.version:
        raise BoughError(
            "22023",
            f"version {moment} does not exist yet",
            detail=f"The newest version is {database.clock.version}.",
            hint="bough.commits lists the versions.",
        )
    database.commit_log.flush()
    cursor = database.root.cursor()
    try:
        instant, exact = manifest.instant_of(cursor, moment)
    finally:
        cursor.close()
    return instant or datetime.min.replace(tzinfo=UTC), exact


def _point(database: Database, line: Line, instant: datetime) -> tuple[int, Point]:
    """The line's last version committed by then, and the point that holds what had been committed on it."""
    with database.gate:
        newest, writing = database.clock.version, set(line.writers)
    database.commit_log.flush()
    cursor = database.root.cursor()
    try:
        last, first, between = manifest.commits_around(cursor, line.id, instant)
    finally:
        cursor.close()
    ahead = [item for item in (first, *writing) if item is not None]
    version = max(last, min([newest, *(item - 1 for item in ahead)]))
    missing = {*between, *writing}
    return last, Point(version, tuple(sorted(item for item in missing if item <= version)))


def _fork_point(database: Database, line: Line, version: int) -> Reached | None:
    """The state that the line, or a live branch forked from it, was forked at, if that is the version asked for."""
    if not line.is_trunk and version == line.record.base.version and _unmoved(line):
        return Reached(line, line, None)
    for other in list(database.lines.values()):
        if other.record.parent != line.id or other.is_trunk:
            continue
        if line.is_trunk and other.record.fork.version == version and other.record.fork.holds(version):
            return Reached(line, line, other.record.fork, other)
        if not line.is_trunk and other.record.base.version == version and _unmoved(other):
            return Reached(line, database.loaded(other), None, other)
    return None


def _unmoved(line: Line) -> bool:
    """Whether the branch's base still is what it was forked as."""
    return line.record.base_catalog == line.record.parent_catalog


def _floor(database: Database, line: Line) -> int:
    floor = database.floors.get(line.id, 0)
    return floor if line.is_trunk else max(floor, line.record.base.version)


def _kept(database: Database, line: Line, point: Point) -> bool:
    return point.holds_all_up_to(_floor(database, line))


def _gone(database: Database, asked: Line, line: Line, moment: Moment) -> BoughError:
    what = f"version {moment}" if isinstance(moment, int) else f"the state of {moment.isoformat(sep=' ')}"
    facts = [
        f'Versions {_floor(database, line)} to {database.clock.version} of branch "{line.name}" can be read'
    ]
    forks = sorted(
        (other.record.fork.version if line.is_trunk else other.record.base.version, other.name)
        for other in database.lines.values()
        if other.record.parent == line.id and not other.is_trunk and (line.is_trunk or _unmoved(other))
    )
    if not line.is_trunk and _unmoved(line):
        forks.insert(0, (line.record.base.version, line.name))
    if forks:
        listed = ", ".join(f"{version} ({name})" for version, name in forks[:_SHOWN])
        more = f" and {len(forks) - _SHOWN} more" if len(forks) > _SHOWN else ""
        facts.append(f"the fork points {listed}{more}")
    return BoughError(
        "22023",
        f'{what} of branch "{asked.name}" is no longer kept',
        detail=", and ".join(facts) + ".",
        hint="The setting retention keeps old versions; a branch keeps the version it was forked at.",
    )


# -- catalogs ------------------------------------------------------------------------------------------------------


def catalog_of(database: Database, reached: Reached) -> Catalog:
    """The catalog of the line at the instant."""
    line, point = reached.rows, reached.point
    if point is None:
        return database.base_catalog(line)
    if line.is_trunk:
        catalog = Catalog(schemas=MappingProxyType({DEFAULT_SCHEMA: Schema(0, DEFAULT_SCHEMA)}))
    else:
        catalog = database.catalog_at(line.record.parent_catalog)
    for _, version, change in database.changes_of(line):
        if point.holds(version):
            catalog = change.apply(catalog)
    return catalog


def catalog_ref(database: Database, reached: Reached) -> CatalogRef:
    """The same as a reference for a fork to keep. 40001 where no moment of the catalog's log is that state."""
    line, point = reached.rows, reached.point
    if point is None:
        return line.record.base_catalog
    log = list(database.changes_of(line))
    held = [seq for seq, version, _ in log if point.holds(version)]
    if [seq for seq, _, _ in log[: len(held)]] != held:
        raise BoughError(
            "22023",
            f'branch "{line.name}" cannot be forked as of that moment',
            detail="Two transactions were changing its schema at once then.",
            hint="Fork as of a version a little before or after it.",
        )
    return CatalogRef(line.id, held[-1] if held else 0)


def retained_tables(database: Database, cutoff: int | None) -> Iterator[Table]:
    """Tables of catalogs that were current after the version ``cutoff`` and no longer are."""
    if cutoff is None:
        return
    for line in [*database.lines.values(), *database.trash.values()]:
        current: dict[tuple[str, str], Table] = {}
        for table in database.catalog_at(line.record.parent_catalog).tables() if not line.is_trunk else ():
            current[table.schema, table.name] = table
        for _, version, change in database.changes_of(line):
            item = change.item
            key = (getattr(item, "schema", ""), item.name)
            if not isinstance(item, Table) and key not in current:
                continue
            previous = current.pop(key, None)
            if previous is not None and version > cutoff:
                yield previous
            if isinstance(item, Table) and not change.dropped:
                current[key] = item


def retained_since(database: Database, now: datetime) -> int | None:
    """The version after which everything is within the retention; None without one."""
    if database.retention <= 0:
        return None
    database.commit_log.flush()
    cursor = database.root.cursor()
    try:
        first = manifest.first_version_after(cursor, now - timedelta(seconds=database.retention))
    finally:
        cursor.close()
    return min([database.fork_point().complete, *([first - 1] if first is not None else [])])
