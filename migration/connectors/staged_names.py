"""Names of the tables that a transfer makes beside its target.

Rules:

1. ``users`` of job 7 is staged as ``users__stg_7``. While names are swapped the old table is ``users__old_7``. Where an
   engine cannot drop a table in a transaction, a row in ``users__pub_7`` says that the rows are shown.
2. The names say which job made a table, so that whoever tidies up touches none of a job that still runs.
3. A long name is cut, never what marks it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager

from migration.connectors.base import Path
from migration.dialects.base import IdentifierRules
from migration.errors import MigrationError

_STAGED = "__stg_"
_REPLACED = "__old_"
_PUBLISHED = "__pub_"
_LEFTOVER = re.compile(r".*(?:__stg_|__old_|__pub_)(?P<job>[0-9a-z]{1,24})")
_LONGEST = 200  # where an engine has no limit, a file system may


def staged_name(target: Path, job: str, rules: IdentifierRules) -> Path:
    """Where the rows for ``target`` are put first. ``job`` has up to 24 digits and lower-case letters."""
    return _beside(target, _STAGED + job, job, rules)


def replaced_name(staging: Path, target: Path, rules: IdentifierRules) -> Path:
    """What ``target`` is called once ``staging`` has its name, until it is dropped."""
    job = job_of(staging) or "0"
    return _beside(target, _REPLACED + job, job, rules)


def mark_name(staging: Path) -> Path:
    """The table whose row tells that the rows of ``staging`` are shown."""
    head, _, job = staging[-1].rpartition(_STAGED)
    return (*staging[:-1], f"{head}{_PUBLISHED}{job}")


def is_staging(path: Path) -> bool:
    """Whether a table's name is one that ``staged_name`` gives."""
    return _STAGED in path[-1] and job_of(path) is not None


def job_of(path: Path) -> str | None:
    """The job that made a table beside its target; None for any other table."""
    match = _LEFTOVER.fullmatch(path[-1])
    return None if match is None else match["job"]


@contextmanager
def made_meanwhile(target: Path) -> Iterator[None]:
    """While a name that was free is taken: 40001 if another session was first."""
    try:
        yield
    except MigrationError as error:
        if error.sqlstate != "42P07":
            raise
        raise MigrationError(
            "40001",
            f'table "{".".join(target)}" was made meanwhile',
            detail="Another session made it while its name was free. Nothing of this transfer was published.",
            hint="Run the transfer again: it finds the table there.",
        ) from error


def _beside(target: Path, mark: str, job: str, rules: IdentifierRules) -> Path:
    if not re.fullmatch(r"[0-9a-z]{1,24}", job):
        raise ValueError(f"a job is named by up to 24 digits and lower-case letters, not {job!r}")
    name, room = target[-1], min(rules.max_length, _LONGEST) - len(mark)
    while len(name.encode() if rules.limit_unit == "bytes" else name) > room:
        name = name[:-1]
    return (*target[:-1], name + mark)
