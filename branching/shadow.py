"""One query on several branches at one instant: its rows, times and plans, and whether the results agree.

Rules:

1. A branch on which the query fails keeps its error, and the others go on: together, at a new instant, because an
   error ends the engine's transaction. What is compared is always of one instant.
2. ``run`` keeps each result in a temporary table that ends with the snapshot; ``weigh`` keeps none and only
   fingerprints them. The branches take turns in every round, so that none of them always finds warm caches.
3. Results agree when their columns have the same names and types, and their rows are the same.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlglot import exp

from branching import compare, plan_text
from branching.database import Database
from branching.engine.base import EngineError, ResultColumn
from branching.errors import BoughError
from branching.snapshot import Reading, Snapshot, failure


@dataclass(slots=True)
class Answer:
    """What one branch has to say."""

    branch: str
    sql: str = ""
    columns: tuple[ResultColumn, ...] = ()
    source: str = ""  # the result, its columns called c0, c1, …
    times: list[float] = field(default_factory=list)  # milliseconds
    rows: int = 0
    total: int = 0  # of the rows' hashes
    error: BoughError | EngineError | None = None

    @property
    def elapsed_ms(self) -> float:
        return statistics.median(self.times) if self.times else 0.0


class _Failed(Exception):
    def __init__(self, answer: Answer, error: BoughError | EngineError) -> None:
        super().__init__(answer.branch)
        self.answer = answer
        self.error = error


class Comparison:
    """Ended by ``close``; until then its results can be read."""

    def __init__(
        self,
        database: Database,
        branches: Sequence[str],
        tree: exp.Expr,
        *,
        reading: Reading | None = None,
        parameters: Sequence[Any] = (),
        tolerance: float = 0.0,
        ordered: bool = False,
        release: Callable[[], None] = lambda: None,
    ) -> None:
        """``release`` lets go of what the tree reads besides the branches, once nobody reads it any more."""
        self._release = release
        self.answers = [Answer(name) for name in branches]
        self._tree = tree
        self._parameters = parameters
        self._tolerance = tolerance
        self._ordered = ordered
        self._kept = True  # the sources are tables, not the query itself
        self._snapshot = Snapshot(database, reading or Reading())

    @property
    def alive(self) -> list[Answer]:
        """The branches on which the query has not failed."""
        return [answer for answer in self.answers if answer.error is None]

    def interrupt(self) -> None:
        """From any thread."""
        self._snapshot.interrupt()

    def end(self) -> None:
        """Lets the instant and the results go; another ``run`` begins anew."""
        self._snapshot.end()

    def close(self) -> None:
        self._snapshot.close()
        self._release()

    # -- running ----------------------------------------------------------------------------------------------

    def bind(self) -> None:
        """Finds the columns; nothing runs."""
        self._settled(lambda _answers: None)

    def run(self, runs: int = 1) -> None:
        """The query ``runs`` times on each branch; the last results are kept."""

        def work(answers: list[Answer]) -> None:
            for _ in range(runs):
                for number, answer in enumerate(answers):
                    kept = f"_bough_shadow_{number}"
                    source = compare.named(answer.sql, len(answer.columns))
                    self._timed(answer, self._snapshot.cursor.engine.replace_temporary(kept, source))
                    answer.source = f"SELECT * FROM {kept}"

        self._kept = True
        self._settled(work)

    def weigh(self) -> None:
        """The fingerprint of each branch's result, which is not kept."""

        def work(answers: list[Answer]) -> None:
            for answer in answers:
                answer.source = compare.named(answer.sql, len(answer.columns))
                found = self._timed(answer, compare.fingerprint_sql(answer.source, answer.columns))
                answer.rows, answer.total = found[0]

        self._kept = False
        self._settled(work)

    def plans(self) -> list[tuple[str, list[str]]]:
        """Each branch's plan with the times of its steps, or its error."""
        lines: dict[str, list[str]] = {}

        def work(answers: list[Answer]) -> None:
            for answer in answers:
                rows = self._asked(answer, self._snapshot.cursor.engine.explain(answer.sql, analyze=True))
                text = (line for row in rows for line in str(row[-1]).splitlines())
                lines[answer.branch] = plan_text.logical(text)

        self._settled(work)
        return [(answer.branch, lines.get(answer.branch, [])) for answer in self.answers]

    def _settled(self, work: Callable[[list[Answer]], None]) -> None:
        """``work`` at one instant on all branches that do not fail."""
        while answers := self.alive:
            planned = self._snapshot.take([answer.branch for answer in answers], self._tree)
            try:
                for answer in answers:
                    plan = planned[answer.branch]
                    if isinstance(plan, BoughError):
                        answer.error = failure(plan)
                        continue
                    answer.sql = plan
                    answer.times = []
                for answer in self.alive:
                    answer.columns = self._guarded(answer, self._snapshot.cursor.describe, answer.sql)
                work(self.alive)
                return
            except _Failed as failed:
                failed.answer.error = failed.error

    def _guarded(self, answer: Answer, call: Callable[..., Any], sql: str) -> Any:
        self._snapshot.check()
        try:
            return call(sql, self._parameters) if self._parameters else call(sql)
        except EngineError as error:
            raise _Failed(answer, failure(error)) from error

    def _asked(self, answer: Answer, sql: str) -> list[tuple[Any, ...]]:
        found: list[tuple[Any, ...]] = self._guarded(answer, self._snapshot.cursor.query, sql)
        return found

    def _timed(self, answer: Answer, sql: str) -> list[tuple[Any, ...]]:
        started = time.perf_counter()
        found = self._asked(answer, sql)
        answer.times.append((time.perf_counter() - started) * 1000)
        return found

    # -- comparing --------------------------------------------------------------------------------------------

    def fingerprint(self, answer: Answer) -> str:
        """Of a kept result; also counts its rows."""
        sql = compare.fingerprint_sql(
            answer.source, answer.columns, tolerance=self._tolerance, ordered=self._ordered
        )
        answer.rows, answer.total = self._snapshot.cursor.query(sql)[0]
        return compare.fingerprint_text(answer.total)

    def same_columns(self, one: Answer, other: Answer) -> bool:
        return one.columns == other.columns

    def same(self, one: Answer, other: Answer) -> bool:
        """Whether two results agree, whose fingerprints have been taken."""
        if one is other:
            return True
        if not self.same_columns(one, other) or one.rows != other.rows:
            return False
        if one.total == other.total:
            return True
        if not self._tolerance or not compare.has_floats(one.columns):
            return False
        sql = compare.difference_sql(
            [one.source, other.source],
            one.columns,
            tolerance=self._tolerance,
            ordered=self._ordered,
            kept=self._kept,
        )
        values = () if self._kept else self._parameters  # which stand in a source that is the query itself
        return not self._snapshot.cursor.query(f"SELECT 1 FROM ({sql}) LIMIT 1", values)

    def cost(self, answer: Answer) -> str:
        """The rows that the engine expects to go through the plan's steps."""
        cursor = self._snapshot.cursor
        rows = cursor.query(cursor.engine.explain(answer.sql, as_json=True), self._parameters)
        return f"{sum(_estimates(json.loads(rows[0][-1])))} rows"

    def columns(self, *, counted: bool) -> tuple[ResultColumn, ...]:
        """The columns of ``rows``, or of ``differences``: a type that differs becomes one that holds both."""
        first = self.alive[0].columns
        head = (ResultColumn("branch", "VARCHAR"), ResultColumn("count", "BIGINT"))[: 1 + counted]
        return (*head, *self._cast_columns(first))

    def rows(self) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        """All kept rows behind their branch, branch by branch."""
        casts = self._common()
        parts = [
            f"SELECT {number} AS _from, * FROM ({compare.cast(answer.source, casts)})"
            for number, answer in enumerate(self.alive)
        ]
        return self._titled(" UNION ALL ".join(parts), 1)

    def differences(self) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        """The rows that not all results have: branch, how many more than all have, the row."""
        casts = self._common()
        sources = [compare.cast(answer.source, casts) for answer in self.alive]
        columns = self._cast_columns(self.alive[0].columns)
        sql = compare.difference_sql(sources, columns, tolerance=self._tolerance, ordered=self._ordered)
        return self._titled(sql, 2)

    def _cast_columns(self, columns: Sequence[ResultColumn]) -> list[ResultColumn]:
        return [
            column if kind is None else ResultColumn(column.name, kind)
            for column, kind in zip(columns, self._common(), strict=True)
        ]

    def _common(self) -> list[str | None]:
        return compare.common_columns([answer.columns for answer in self.alive])

    def _titled(self, sql: str, own: int) -> tuple[tuple[ResultColumn, ...], Iterator[list[Any]]]:
        """The rows of a query whose first column is a branch's number, under the columns' own names."""
        names = [answer.branch for answer in self.alive]
        columns, batches = self._snapshot.cursor.open(sql)
        head = (ResultColumn("branch", "VARCHAR"), ResultColumn("count", "BIGINT"))[:own]
        shown = zip(self.alive[0].columns, columns[own:], strict=True)
        found = (*head, *(ResultColumn(title.name, column.type) for title, column in shown))
        return found, ([(names[row[0]], *row[1:]) for row in batch] for batch in batches)


def _estimates(node: Any) -> Iterator[int]:
    if isinstance(node, list):
        for item in node:
            yield from _estimates(item)
    elif isinstance(node, dict):
        found = node.get("extra_info", {}).get("Estimated Cardinality", "")
        digits = "".join(character for character in str(found) if character.isdigit())
        if digits:
            yield int(digits)
        yield from _estimates(node.get("children", []))
