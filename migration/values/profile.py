"""What the source's values are like, as far as a plan depends on it: one scan in the pinned snapshot.

Rules:

1. Only conditions that some value could break are asked (``conditions.is_implied`` knows which cannot), all in
   one query together with the measures that verify the transfer later. What the least and the greatest value prove
   is not counted (``conditions.is_proven``).
2. Where the source's dialect has no expressions of ours, the guarded columns alone are read and judged here. What
   would stop such a read is asked of the reader first (``Reader.misfits``).
3. A profile says how many values break a condition and shows up to three; it decides nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa

from migration.connectors.base import ReadColumn, Reader, Source
from migration.connectors.duckdb_forms import plain
from migration.dialects import contract
from migration.dialects.quoting import quote_name
from migration.local_engine import open_engine
from migration.measures.columns import TableMeasure
from migration.measures.sql import MeasureQuery, answered, completed, measure_query, source_clause
from migration.types import CanonicalType
from migration.values import conditions, documents
from migration.values.transform import too_long


@dataclass(frozen=True, slots=True)
class Question:
    """A condition on a column of the source, or on what is read in its place."""

    column: str
    type: CanonicalType
    guard: str
    expression: str | None = None

    @property
    def is_of_reader(self) -> bool:
        """Whether the reader finds the values that break it."""
        return self.guard == "utf8" or self.guard.startswith("held:")


@dataclass(frozen=True, slots=True)
class Finding:
    """Values of a column that break a condition: how many, and up to three of them."""

    column: str
    guard: str
    count: int
    samples: tuple[str, ...] = ()


_AT_ONCE = 400  # terms in one SELECT: the engine's planner takes the square of their number
_NOTHING: list[Finding] = []
_APART = {"rows": "counts", "nonnull": "counts", "min": "ends", "max": "ends"}


@dataclass(frozen=True, slots=True)
class Profile:
    """``rows`` is counted in the snapshot; ``measure`` is None where the engine cannot measure itself."""

    rows: int
    findings: tuple[Finding, ...]
    measure: TableMeasure | None = None

    def broken(self, column: str) -> tuple[Finding, ...]:
        """The conditions that values of ``column`` break."""
        return tuple(finding for finding in self.findings if finding.column == column and finding.count)


def take(
    reader: Reader,
    source: Source,
    dialect: str,
    questions: Sequence[Question],
    measured: Sequence[tuple[str, CanonicalType]] = (),
) -> Profile:
    """The answers to ``questions``, and the measures of ``measured`` columns, in one scan where possible."""
    asked = [q for q in questions if not conditions.is_implied(q.guard, q.type, dialect)]
    held = [ReadColumn(q.column, q.type, q.expression) for q in asked if q.is_of_reader]
    asked = [q for q in asked if not q.is_of_reader]
    here = [q for q in asked if q.expression is not None or _condition(q, dialect) is None]
    there = [q for q in asked if q not in here]
    misfits = [
        Finding(item.column, item.guard, item.count, item.samples)
        for item in (reader.misfits(source, held) if held else ())
    ]
    holes = {item.column for item in misfits}
    measured = [column for column in measured if column[0] not in holes]
    if measure_query(dialect, source, measured) is None and not there:
        rows, found, measure = reader.count(source), _NOTHING, None
    else:
        rows, found, measure = _pushed(reader, source, dialect, there, measured)
    spoilt = {
        item.column: quote_name(item.column, contract(dialect))
        for item in found
        if item.count and item.guard in conditions.source_guards(_type_of(item.column, asked), dialect)
    }
    spared = {
        name: conditions.spared(_type_of(name, asked), column, dialect) for name, column in spoilt.items()
    }
    findings = [*found, *misfits, *(_judged_here(reader, source, here, spared, holes) if here else ())]
    return Profile(rows, tuple(findings), measure)


def _type_of(column: str, questions: Sequence[Question]) -> CanonicalType:
    return next(question.type for question in questions if question.column == column)


def _condition(question: Question, dialect: str) -> str | None:
    quoted = quote_name(question.column, contract(dialect))
    return conditions.offence(question.guard, question.type, quoted, dialect)


def _pushed(
    reader: Reader,
    source: Source,
    dialect: str,
    questions: Sequence[Question],
    measured: Sequence[tuple[str, CanonicalType]],
) -> tuple[int, list[Finding], TableMeasure | None]:
    query = measure_query(dialect, source, measured, quick=True)
    names = {name for name, _ in measured} if query else set()
    later = [q for q in questions if q.column in names and conditions.by_extremes(q.guard, q.type)]
    now = [question for question in questions if question not in later]
    row, counts = _counted(reader, source, dialect, now, query)
    measure = completed(reader.row, dialect, source, measured, query, row) if query else None
    if measure is not None:
        later = [q for q in later if not conditions.is_proven(q.guard, q.type, measure.columns[q.column][1])]
        if later:
            counts |= _counted(reader, source, dialect, later, None)[1]
    findings = [Finding(question.column, question.guard, counts.get(question, 0)) for question in questions]
    clause = source_clause(source, dialect)
    return int(row[0]), _with_samples(reader, clause, dialect, questions, findings), measure


def _counted(
    reader: Reader, source: Source, dialect: str, questions: Sequence[Question], query: MeasureQuery | None
) -> tuple[list[Any], dict[Question, int]]:
    """The row of ``query`` (of the number of rows without one), and how many values break each condition."""
    # Counting first: samples cost as much again, and are wanted only where something is broken.
    counts = [
        f"count(CASE WHEN {_condition(question, dialect)} THEN 1 END) AS q{index}"
        for index, question in enumerate(questions)
    ]
    clause = source_clause(source, dialect)
    head = query.selected if query else ("count(*) AS m0",)
    if query is not None and reader.keeps_extremes(source):
        row = _told_apart(reader, query, counts, clause)
    else:
        row = answered(reader.row, [*head, *counts], clause)
    size = len(head)
    return row[:size], {q: int(n or 0) for q, n in zip(questions, row[size:], strict=True)}


def _told_apart(reader: Reader, query: MeasureQuery, counts: Sequence[str], clause: str) -> list[Any]:
    """The same row with counts, extremes and all else each in a SELECT of its own: the first two need no scan."""
    groups: dict[str, list[str]] = {}
    for (_, _, measure), selected in zip(query.items, query.selected, strict=True):
        groups.setdefault(_APART.get(measure, "rest"), []).append(selected)
    if counts:
        groups.setdefault("rest", []).extend(counts)
    order = [_alias(text) for text in (*query.selected, *counts)]
    if len(order) <= _AT_ONCE:
        parts = [f"(SELECT {', '.join(group)} FROM {clause}) AS {name}" for name, group in groups.items()]
        return list(reader.row(f"SELECT {', '.join(order)} FROM {', '.join(parts)}"))
    told: dict[str, Any] = {}
    for group in groups.values():
        for start in range(0, len(group), _AT_ONCE):
            piece = group[start : start + _AT_ONCE]
            row = reader.row(f"SELECT {', '.join(piece)} FROM {clause}")
            told |= zip(map(_alias, piece), row, strict=True)
    return [told[name] for name in order]


def _alias(selected: str) -> str:
    return selected.rpartition(" AS ")[2]


def _with_samples(
    reader: Reader, clause: str, dialect: str, questions: Sequence[Question], findings: Sequence[Finding]
) -> list[Finding]:
    """The least and the greatest of the values that break a condition, where there are some."""
    found = []
    for question, finding in zip(questions, findings, strict=True):
        if finding.count:
            text = conditions.sample_text(quote_name(question.column, contract(dialect)), dialect)
            table = reader.fetch(
                f"SELECT min({text}) AS lo, max({text}) AS hi FROM {clause} WHERE {_condition(question, dialect)}"
            )
            ends = [table.column(number)[0].as_py() for number in range(2)]
            texts = tuple(dict.fromkeys(str(value) for value in ends if value is not None))
            finding = replace(finding, samples=texts)
        found.append(finding)
    return found


def _judged_here(
    reader: Reader,
    source: Source,
    questions: Sequence[Question],
    spared: Mapping[str, str],
    holes: Collection[str],
) -> list[Finding]:
    """Reads the columns in question and judges them by DuckDB and Python, batch by batch. ``spared`` are expressions
    for those that hold what cannot be read, ``holes`` those that the reader leaves out by itself."""
    columns = {
        q.column: ReadColumn(q.column, q.type, spared.get(q.column, q.expression), q.column in holes)
        for q in questions
    }
    counts: dict[Question, int] = dict.fromkeys(questions, 0)
    samples: dict[Question, list[str]] = {question: [] for question in questions}
    with open_engine(threads=1) as engine:
        for batch in reader.read(source, list(columns.values())):
            arrays = dict(zip(columns, batch.columns, strict=True))
            for question in questions:
                array = arrays[question.column]
                if documents.is_for_python(question.guard, question.type):
                    count, seen = documents.breaks_in_python(question.guard, question.type, array.to_pylist())
                else:
                    count, seen = _judged_by_engine(engine, question, array)
                counts[question] += count
                samples[question] = [*samples[question], *seen][:3]
    return [Finding(q.column, q.guard, counts[q], tuple(samples[q])) for q in questions]


def _judged_by_engine(engine: Any, question: Question, array: pa.Array) -> tuple[int, list[str]]:
    if pa.types.is_decimal256(array.type):
        array = pa.array(
            [None if value is None else f"{value:f}" for value in array.to_pylist()], pa.string()
        )
    broken = conditions.offence(question.guard, question.type, "x", "duckdb")
    if question.guard.startswith(documents.LENGTHS):
        array, broken = plain(array), too_long(question.guard, question.type)
    if broken is None:
        return 0, []
    engine.register("bough_batch", pa.table({"x": array}))
    try:
        rows = engine.execute(
            f"SELECT count(*), list({conditions.sample_text('x', 'duckdb')}) FROM bough_batch WHERE {broken}"
        ).fetchall()
    finally:
        engine.unregister("bough_batch")
    return int(rows[0][0]), [str(value) for value in (rows[0][1] or [])[:3]]


def rows_within(profile: Profile, size: int) -> int:
    """How many rows of average width ``size`` bytes hold; an engine that is read by rows needs no more at once."""
    if profile.measure is None or not profile.rows:
        return size
    columns = profile.measure.columns.values()
    octets = sum(int(values.get("octets") or 0) for _, values in columns)
    return max(1, size * profile.rows // (octets + 8 * len(columns) * profile.rows + 1))


def statistics(profile: Profile) -> Mapping[str, Mapping[str, Any]]:
    """Per column what a layout can use: NULLs, least and greatest value."""
    if profile.measure is None:
        return {}
    found: dict[str, Mapping[str, Any]] = {}
    for name, (_, values) in profile.measure.columns.items():
        found[name] = {
            "nulls": profile.rows - int(values.get("nonnull", profile.rows)),
            "minimum": values.get("min"),
            "maximum": values.get("max"),
        }
    return found
