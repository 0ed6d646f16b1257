"""SHADOW QUERY: the same query on several branches, each at one snapshot, compared without regard to order.

Read-only by the grammar (a SELECT and nothing else) and by the engine (a read-only transaction). Fingerprints add up a
hash per row, so the order of rows does not matter and duplicates do; with a tolerance, floats are rounded to it first.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching import Connection, EngineError, ResultColumn
from branching.errors import BoughError
from proxy.commands import branch as c
from proxy.session.outcome import Outcome, table
from proxy.sql.errors import from_engine
from proxy.sql.split import Source
from proxy.sql.statements import Kind

if TYPE_CHECKING:
    from proxy.session.session import Session

_FLOATS = ("DOUBLE", "FLOAT")


def run(session: Session, command: c.ShadowQuery) -> Outcome:
    """Carries the command out."""
    if not session.service.settings.shadow_mode_enabled:
        raise BoughError(
            "0A000", "shadow queries are turned off", hint="Set shadow_mode_enabled to true and restart."
        )
    prepared = session.service.statements.prepare(
        Source(command.query, command.query_offset), session.statements.guard
    )
    if prepared.kind is not Kind.SELECT or prepared.tree is None:
        raise BoughError(
            "0A000",
            "SHADOW QUERY takes a SELECT",
            detail=f"This is {prepared.tag}.",
            hint="Writes belong on one branch: BRANCH SWITCH there.",
        )
    for name in command.branches:
        session.service.database.line(name)
    shown = [_Shadow(session, name) for name in command.branches]
    try:
        for shadow in shown:
            shadow.run(prepared.tree, command)
        if command.returning == "plan":
            return table(
                command.result, [(s.name, line) for s in shown for line in s.plan(prepared.tree)], _tag
            )
        if command.returning == "rows":
            return _rows(shown)
        if command.returning == "diff":
            return _diff(shown, command)
        return _summary(shown, command)
    finally:
        for shadow in shown:
            shadow.close()


def _tag(rows: int) -> str:
    return f"SELECT {rows}"


class _Shadow:
    """The query on one branch."""

    def __init__(self, session: Session, name: str) -> None:
        self.name = name
        self.connection: Connection = session.service.database.connect(name, role=session.user)
        self.connection.search_path = session.search_path()
        self.connection.begin(read_only=True)
        self.columns: tuple[ResultColumn, ...] = ()
        self.result: list[tuple[Any, ...]] = []
        self.elapsed_ms = 0.0
        self.error: str | None = None

    def run(self, tree: exp.Expr, command: c.ShadowQuery) -> None:
        times = []
        try:
            for _ in range(max(command.runs, 1)):
                started = time.perf_counter()
                result = self.connection.execute(tree)
                self.result = result.fetchall()
                times.append((time.perf_counter() - started) * 1000)
                self.columns = result.columns or ()
        except EngineError as error:
            self.error = from_engine(error.exception, error.message).message
        except BoughError as error:
            self.error = error.message
        if times:
            self.elapsed_ms = statistics.median(times)

    def plan(self, tree: exp.Expr) -> list[str]:
        if self.error is not None:
            return [f"ERROR: {self.error}"]
        return self.connection.explain(tree, analyze=True)

    def comparable(self, command: c.ShadowQuery) -> list[tuple[Any, ...]]:
        """The rows, floats rounded to the tolerance."""
        floats = [column.type in _FLOATS for column in self.columns]
        if not command.tolerance or not any(floats):
            return self.result
        step = command.tolerance
        return [
            tuple(
                round(value / step) * step
                if is_float and isinstance(value, float) and value == value
                else value
                for value, is_float in zip(row, floats, strict=True)
            )
            for row in self.result
        ]

    def close(self) -> None:
        self.connection.close()


def _fingerprint(shadow: _Shadow, command: c.ShadowQuery) -> str:
    import hashlib

    total = 0
    for number, row in enumerate(shadow.comparable(command)):
        text = repr((number, row) if command.ordered else row)
        total += int.from_bytes(hashlib.blake2b(text.encode(), digest_size=12).digest(), "big")
    return f"{total % (1 << 96):024x}"


def _summary(shown: list[_Shadow], command: c.ShadowQuery) -> Outcome:
    fingerprints = [_fingerprint(shadow, command) if shadow.error is None else None for shadow in shown]
    first = fingerprints[0]
    rows = [
        (
            shadow.name,
            len(shadow.result) if shadow.error is None else None,
            round(shadow.elapsed_ms, 3),
            fingerprint,
            fingerprint is not None
            and fingerprint == first
            and [column.type for column in shadow.columns] == [column.type for column in shown[0].columns],
            None,
            shadow.error,
        )
        for shadow, fingerprint in zip(shown, fingerprints, strict=True)
    ]
    return table(c.ShadowQuery.result, rows, _tag)


def _check(shown: list[_Shadow]) -> tuple[ResultColumn, ...]:
    for shadow in shown:
        if shadow.error is not None:
            raise BoughError("22000", f'the query fails on branch "{shadow.name}": {shadow.error}')
    columns = shown[0].columns
    for shadow in shown:
        if [item.name for item in shadow.columns] != [item.name for item in columns]:
            raise BoughError(
                "42804",
                "the branches return different columns",
                detail="; ".join(f"{s.name}: {', '.join(i.name for i in s.columns)}" for s in shown),
                hint="Name the columns in the query, or use the default form, which compares without rows.",
            )
    return columns


def _rows(shown: list[_Shadow]) -> Outcome:
    columns = _check(shown)
    head = [("branch", "VARCHAR"), *((column.name, column.type) for column in columns)]
    return table(head, [(shadow.name, *row) for shadow in shown for row in shadow.result], _tag)


def _diff(shown: list[_Shadow], command: c.ShadowQuery) -> Outcome:
    columns = _check(shown)
    counts = [Counter(map(_hashable, shadow.comparable(command))) for shadow in shown]
    originals: dict[Any, tuple[Any, ...]] = {}
    for shadow in shown:
        for row, shown_row in zip(shadow.comparable(command), shadow.result, strict=True):
            originals.setdefault(_hashable(row), shown_row)
    common = counts[0]
    for other in counts[1:]:
        common = common & other
    rows = [
        (shadow.name, count - common[key], *originals[key])
        for shadow, counted in zip(shown, counts, strict=True)
        for key, count in counted.items()
        if count > common[key]
    ]
    head = [("branch", "VARCHAR"), ("count", "BIGINT"), *((column.name, column.type) for column in columns)]
    return table(head, rows, _tag)


def _hashable(row: tuple[Any, ...]) -> Any:
    return tuple(repr(value) if isinstance(value, list | dict) else value for value in row)
