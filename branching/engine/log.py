"""What a transaction has done to the database, so that it can be done again up to a point.

A cursor writes here what it has carried out. An engine undoes whole transactions only: to go back to a point, its
transaction is undone, begun anew, and everything up to that point is done again, each answer compared with the first.

Rules:

1. Only what has succeeded is noted; reading is not.
2. What cannot be done again in the same way is never noted: ``stop`` says so, with the reason. Points before it can
   still be gone back to, later ones cannot.
3. Memory is bounded: too much to keep is a reason to stop.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from branching.engine.base import Cursor

LIMIT = 64 * 1024 * 1024  # bytes of statements and rows that are kept for one transaction
_OVERHEAD = 200  # bytes of a step without its text and values
Kind = Literal["execute", "returning", "register", "unregister", "query"]


class OtherAnswer(Exception):
    """A statement that was done again did something else."""


@dataclass(frozen=True, slots=True)
class Place:
    """A point in a log: the number of steps before it, and why it cannot be reached, if so."""

    taken: int
    broken: str | None = None


@dataclass(slots=True)
class Step:
    kind: Kind
    text: str
    values: Sequence[Any]
    answer: Any
    size: int


class Log:
    """The steps of one transaction."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.steps: list[Step] = []
        self.taken = 0  # steps so far, kept or not
        self.broken: str | None = None  # why the steps behind ``steps`` are not kept
        self._limit = limit
        self._size = 0
        self._needed = 0  # steps before the last place that was asked for
        self._texts: dict[str, str] = {}  # one copy of each

    def add(self, kind: Kind, text: str, values: Sequence[Any] = (), answer: Any = None) -> None:
        self.taken += 1
        if self.broken is not None:
            return
        size = _OVERHEAD + sum(map(_size, values))
        if text not in self._texts:
            size += len(text)
        self._size += size
        if self._size > self._limit:
            self.stop(
                f"the transaction has written more than the {self._limit >> 20} MB that are kept for it"
            )
            return
        self.steps.append(Step(kind, self._texts.setdefault(text, text), tuple(values), answer, size))

    def returned(self, rows: Sequence[Any]) -> None:
        """The rows that the last step gave."""
        if self.broken is None and self.steps:
            self.steps[-1].answer = digest(rows)

    def stop(self, reason: str) -> None:
        """What comes now cannot be done again."""
        if self.broken is None:
            self.broken = reason
            del self.steps[self._needed :]
            self._texts.clear()

    def place(self) -> Place:
        """Where it is now."""
        if self.broken is None:
            self._needed = len(self.steps)
        return Place(self.taken, self.broken)

    def repeat(self, place: Place, cursor: Cursor) -> None:
        """Does the steps before ``place`` again. Raises OtherAnswer, or what the engine says."""
        for step in self.steps[: place.taken]:
            _repeat(step, cursor)

    def back_to(self, place: Place) -> None:
        """The steps behind ``place`` have been undone."""
        del self.steps[place.taken :]
        self.taken = self._needed = len(self.steps)
        self.broken = None
        self._size = sum(step.size for step in self.steps)


def digest(rows: Sequence[Any]) -> tuple[int, bytes]:
    """Alike for the same rows, in whatever order."""
    found = hashlib.blake2b(digest_size=16)
    for text in sorted(map(repr, rows)):
        found.update(text.encode())
    return len(rows), found.digest()


def _repeat(step: Step, cursor: Cursor) -> None:
    if step.kind == "register":
        cursor.register(step.text, step.values[0])
        return
    if step.kind == "unregister":
        cursor.unregister(step.text)
        return
    if step.kind == "execute":
        answer: Any = cursor.execute(step.text, step.values)
    elif step.kind == "query":
        answer = cursor.query(step.text, step.values)
    else:
        answer = cursor.returning(step.text, step.values)
        if step.answer is None:
            return
        answer = digest(answer.rows())
    if answer != step.answer:
        raise OtherAnswer(step.text)


def _size(value: Any) -> int:
    if isinstance(value, str | bytes | list | tuple):
        return len(value)
    return int(getattr(value, "nbytes", 16))
