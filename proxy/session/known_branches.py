"""The branches a session has named, by what they are: a branch that is renamed stays the one that was meant.

Settings have a branch's name. Between a ``SET branch`` and the end of a block, or ``RESET ALL``, another session may
rename the branch and give its name to a new one; the session must not land there.
"""

from __future__ import annotations

from branching import BoughError, Database
from branching.lines import Line
from branching.names import is_pin

_MOST = 8  # where it started, is, was, and comes back to


class KnownBranches:
    """Used by one thread at a time."""

    def __init__(self, database: Database, start: str) -> None:
        self._database = database
        self._start = start
        self._start_line = database.any_line(start)
        self._lines: dict[str, Line] = {start: self._start_line}

    def note(self, name: str) -> None:
        """The session has just named this branch."""
        if self._database.has_branch(name):
            self._lines.pop(name, None)
            self._lines[name] = self._database.any_line(name)
            for old in list(self._lines)[:-_MOST]:
                del self._lines[old]

    @property
    def start(self) -> str:
        """What the branch that the session started on is called now."""
        line = self._start_line
        return line.name if line.record.state == "live" else self._start

    def is_start(self, line: Line) -> bool:
        return line is self._start_line

    def name_of(self, name: str) -> str:
        """What the branch that the session knows as ``name`` is called now; ``name`` itself where that is gone."""
        line = self._lines.get(name)
        return line.name if line is not None and line.record.state == "live" else name

    def is_line(self, name: str, line: Line) -> bool:
        """Whether ``name`` is what the session called this branch, which may be gone by now."""
        return self._lines.get(name) is line


def no_branch(name: str, what: str, database: Database) -> BoughError:
    """The refusal of a connection to a branch that there is not."""
    count = sum(not is_pin(item) for item in database.names)
    return BoughError(
        "3D000",
        f'{what} "{name}" does not exist',
        detail=f"There {'is 1 branch' if count == 1 else f'are {count} branches'}.",
        hint=f'Branches are databases: connect to "main" and run BRANCH CREATE {_quoted(name)}, or BRANCH LIST.',
    )


def _quoted(name: str) -> str:
    return name if name.isidentifier() and name == name.lower() else '"' + name.replace('"', '""') + '"'
