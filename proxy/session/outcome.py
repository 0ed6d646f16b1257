"""What running a statement gave: columns, rows as they come, and the command tag."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from branching import CopyForm, Result, ResultColumn, WireFormats
from branching.diff.rows import Shown
from proxy.types import TypeInfo, from_engine, row_encoder
from proxy.wire.description import column_formats

if TYPE_CHECKING:
    from proxy.session.copy import CopyIn, CopyOut

Columns = tuple[tuple[str, TypeInfo], ...]
Formats = Sequence[int] | CopyForm  # codes of a Bind, or the form of a COPY's data


def wire_formats(formats: Formats, declared: Sequence[str | None]) -> WireFormats:
    """How the engine is to encode rows; ``declared`` are Postgres types known better than by the engine's."""
    names = tuple(name and from_engine("VARCHAR", name).name for name in declared)
    if isinstance(formats, CopyForm):
        return WireFormats((int(formats.format == "binary"),), names, formats)
    return WireFormats(tuple(formats), names)


def described(columns: Sequence[ResultColumn], declared: Sequence[str | None] = ()) -> Columns:
    """Engine columns as the client is told of them; ``declared`` are Postgres types known better."""
    known = list(declared) + [None] * (len(columns) - len(declared))
    return tuple(
        (column.name, from_engine(column.type, known[number])) for number, column in enumerate(columns)
    )


def of_shown(columns: Sequence[Shown]) -> Columns:
    """The columns of a diff by rows as the client is told of them."""
    return tuple((column.name, from_engine(column.type, column.declared)) for column in columns)


@dataclass(slots=True)
class Chunk:
    """DataRow messages and how many there are."""

    data: Any
    rows: int


@dataclass(slots=True)
class Outcome:
    """``columns`` None: no rows. ``tag`` makes the command tag from the number of rows sent."""

    tag: Callable[[int], str]
    columns: Columns | None = None
    batches: Iterator[Any] = field(default_factory=lambda: iter(()))  # lists of rows, or Frames if encoded
    encoded: bool = False
    engine: tuple[ResultColumn, ...] | None = (
        None  # the columns with the engine's types, where only the data tells
    )
    keep: Any = None  # what must live until the rows are read
    _rest: list[Any] = field(default_factory=list)
    sent: int = 0
    copy: CopyIn | CopyOut | None = None  # the statement is a COPY, which talks to the client itself
    release: Callable[[], None] = lambda: None  # lets go of what rows come from that nobody has asked for

    def chunks(self, formats: Sequence[int]) -> Iterator[Chunk]:
        """All rows, encoded, in bounded pieces."""
        if self.encoded:
            for frames in self.batches:
                self.sent += frames.rows
                yield Chunk(frames.data, frames.rows)
            return
        columns = self.columns or ()
        encode = row_encoder([info for _, info in columns], column_formats(formats, len(columns)))
        for rows in self.pieces():
            self.sent += len(rows)
            yield Chunk(encode(rows), len(rows))

    def pieces(self) -> Iterator[list[Any]]:
        if self._rest:
            rows, self._rest = self._rest, []
            yield rows
        yield from self.batches

    def take(self, count: int) -> list[Any]:
        """The next ``count`` rows (0: all). Only where not encoded."""
        taken: list[Any] = []
        while not count or len(taken) < count:
            if self._rest:
                rows, self._rest = self._rest, []
            else:
                following = next(self.batches, None)
                if following is None:
                    break
                rows = following
            room = len(rows) if not count else count - len(taken)
            taken += rows[:room]
            self._rest = list(rows[room:])
        self.sent += len(taken)
        return taken

    def exhausted(self) -> bool:
        """Whether no row is left (looks ahead by one batch)."""
        if self._rest:
            return False
        rows = next(self.batches, None)
        if rows is None:
            return True
        self._rest = list(rows)
        return not self._rest

    def close(self) -> None:
        """Nobody wants the rows, or those that are left."""
        if isinstance(self.batches, Generator):
            self.batches.close()
        self.release()

    def materialise(self) -> None:
        """Reads the rows into memory: the connection is needed for something else."""
        if not self.encoded:
            self._rest += [row for rows in self.batches for row in rows]
            self.batches = iter(())


def done(tag: str) -> Outcome:
    """A statement without rows."""
    return Outcome(lambda _rows: tag)


def table(columns: Sequence[tuple[str, str]], rows: list[Any], tag: Callable[[int], str]) -> Outcome:
    """Rows at hand. ``columns``: (name, engine type)."""
    infos = tuple((name, from_engine(kind)) for name, kind in columns)
    return Outcome(tag, infos, iter([rows] if rows else []))


def of_result(result: Result, tag: Callable[[int], str], declared: Sequence[str | None] = ()) -> Outcome:
    columns = None if result.columns is None else described(result.columns, declared)
    return Outcome(tag, columns, result.batches, result.encoded)
