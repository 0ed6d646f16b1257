"""The end of branches: into the trash, all that hangs together or nothing, and out of it.

What is in the trash is in no list and cannot be connected to, and keeps all it holds until the grace time is over
(``gc``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

from branching import manifest, names
from branching.database import Database
from branching.engine.base import Cursor
from branching.errors import BoughError
from branching.lines import MAIN, Line
from branching.names import quote


def need_plain_branch(line: Line, verb: str) -> None:
    if line.is_trunk:
        raise BoughError(
            "42809",
            f'cannot {verb} branch "{MAIN}"',
            detail="It is the trunk that all branches stand on.",
            hint="BRANCH CREATE makes a branch of it, with which that can be done.",
        )


def discard(
    database: Database,
    name: str,
    *,
    if_exists: bool = False,
    cascade: bool = False,
    force: bool = False,
    sessions: Callable[[Line], list[str]] = lambda _line: [],
    own_sessions: int = 0,
    notice: Callable[[str], None] = lambda _text: None,
) -> list[str]:
    """Moves a branch (and with ``cascade`` its children) to the trash. The names that went."""
    if if_exists and not database.has_branch(name):
        notice(f'branch "{name}" does not exist, skipping')
        return []
    line = database.any_line(name)
    need_plain_branch(line, "discard")
    with database.gate:
        if database.names.get(name) != line.id:
            raise database.no_branch(name)  # somebody was faster
        going = _with_children(database, line)
        made = [other.name for other in going[1:] if not names.is_pin(other.name)]
        if made and not cascade:
            raise BoughError(
                "2BP01",
                f'cannot discard branch "{name}" because other branches were made from it',
                detail="Branches: " + ", ".join(sorted(made)),
                hint="BRANCH DISCARD … CASCADE discards them too.",
            )
        for each in going:
            each.need_writable()
            others = each.sessions - (own_sessions if each is line else 0)
            if others > 0 and not force:
                raise BoughError(
                    "55006",
                    f'branch "{each.name}" is being accessed by other sessions',
                    detail="\n".join(sessions(each)) or f"There are {others} other sessions on it.",
                    hint="End them, or BRANCH DISCARD … WITH (force true).",
                )
        dropped = _to_trash(database, going)
    if dropped:
        notice(f"dropped the manual merges that were open: {', '.join(map(str, dropped))}")
    return [each.name for each in reversed(going)]


def _with_children(database: Database, line: Line) -> list[Line]:
    """A branch and all that hangs on it, parents first."""
    found = [line]
    for each in found:
        found += [other for other in database.lines.values() if other.record.parent == each.id]
    return found


def _to_trash(database: Database, going: list[Line]) -> list[int]:
    """All of them or none, and the manual merges that were open with them. The caller holds the gate.

    A merge goes by the names of its branches: it must not be there when another branch takes one of them.
    """
    records = [replace(line.record, state="trash", discarded_at=manifest.now()) for line in going]
    with database.registry() as cursor:
        cursor.begin()
        try:
            for record in records:
                values = {"state": record.state, "discarded_at": record.discarded_at}
                manifest.update_columns(cursor, record.id, values)
            dropped = _drop_open_merges(cursor, [record.name for record in records])
            cursor.commit()
        finally:
            cursor.rollback()
    for line, record in zip(going, records, strict=True):
        line.record = record
        del database.lines[line.id]
        del database.names[line.name]
        database.trash[line.id] = line
    return dropped


def _drop_open_merges(cursor: Cursor, going: Sequence[str]) -> list[int]:
    """Ends the manual merges from and into these branches that wait to be continued; their ids."""
    places = ", ".join("?" * len(going))
    where = f"state = 'open' AND (source IN ({places}) OR target IN ({places}))"
    found = [
        row[0]
        for row in cursor.query(
            f"SELECT id FROM {names.MANIFEST_SCHEMA}.merges WHERE {where}", (*going, *going)
        )
    ]
    for merge in found:
        cursor.execute(f"DELETE FROM {names.MANIFEST_SCHEMA}.conflicts WHERE merge_id = ?", (merge,))
        cursor.execute(f"UPDATE {names.MANIFEST_SCHEMA}.merges SET state = 'aborted' WHERE id = ?", (merge,))
    return found


def _listed(database: Database) -> str:
    found = sorted({line.name for line in database.trash.values() if line.record.state == "trash"})
    shown = ", ".join(found[:5]) + (f" and {len(found) - 5} more" if len(found) > 5 else "")
    return shown or "nothing in it"


def restore(database: Database, name: str) -> Line:
    """Takes the newest discarded branch of that name out of the trash."""
    found = [line for line in database.trash.values() if line.name == name and line.record.state == "trash"]
    if not found:
        raise BoughError(
            "42704",
            f'no discarded branch "{name}"',
            hint="The trash is emptied after the grace time.",
            detail=f"The trash has {_listed(database)}.",
        )
    if database.has_branch(name):
        raise BoughError(
            "42710",
            f'branch "{name}" already exists',
            hint=f"BRANCH RENAME {quote(name)} TO … first.",
            detail="It has taken the name since the other one was discarded.",
        )
    line = max(found, key=lambda item: item.record.discarded_at or item.record.created_at)
    with database.gate:
        database.change(line, state="live", discarded_at=None, last_used_at=manifest.now())
        del database.trash[line.id]
        database.lines[line.id] = line
        database.names[name] = line.id
    return line
