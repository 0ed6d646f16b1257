"""What every command is: a frozen value that says what is wanted, and nothing about how it is done.

Class attributes say what a session must know before it runs one: the ``privilege`` it needs, its command
``tag``, whether it ``returns_rows``, whether it ``changes_branches`` (then it commits on its own), and
whether it is refused with 25001 after its transaction block's first write (``before_writes``). ``form`` is
the syntax people read in hints and in docs/commands.md. What only the command itself can say is a property: whether it
``writes`` anywhere (then a read-only transaction refuses it), and what it is ``called`` in messages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from enum import Enum
from typing import ClassVar, Final, Literal

from .results import Columns

PRIVILEGES: Mapping[str, str] = {
    "read": "read data and ask what there is",
    "branch": "make, change and drop branches",
    "write": "change data, on a branch or in a datasource",
    "admin": "change what the whole server sees",
}


class Unset(Enum):
    """The type of UNSET: an option that was not given, where None already means NONE."""

    UNSET = "UNSET"

    def __repr__(self) -> str:
        return self.value


UNSET: Final = Unset.UNSET
Ttl = timedelta | None | Literal[Unset.UNSET]


@dataclass(frozen=True, slots=True)
class Command:
    """The base of all commands."""

    privilege: ClassVar[str] = "read"
    tag: ClassVar[str] = ""
    form: ClassVar[str] = ""
    result: ClassVar[Columns] = ()  # the columns, unless they depend on the command's options
    returns_rows: ClassVar[bool] = False
    changes_branches: ClassVar[bool] = False
    before_writes: ClassVar[bool] = False

    @property
    def columns(self) -> Columns | None:
        """The result's columns; () without a result, None where only the data tells."""
        return self.result

    @property
    def writes(self) -> bool:
        """Whether it changes anything, here or in a datasource; a dry run may, until it is rolled back."""
        return self.privilege != "read"

    @property
    def called(self) -> str:
        """What it is called in messages."""
        return self.tag


@dataclass(frozen=True, slots=True)
class Moment:
    """``AS OF VERSION n`` or ``AS OF TIMESTAMP 't'``: exactly one of the two."""

    version: int | None = None
    timestamp: str | None = None


@dataclass(frozen=True, slots=True)
class TableName:
    """A table of a branch as the user named it."""

    name: str
    schema: str | None = None
