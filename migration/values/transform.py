"""Batches from the source's canonical form to the target's: the only place where a transfer changes a value.

Rules:

1. A column whose two forms are the same Arrow type passes through untouched, without a copy.
2. Casts are Arrow's safe casts: a number that does not fit raises, nothing wraps or rounds.
3. Text forms are made by DuckDB, with decimals written out and times as PostgreSQL writes them
   (``2024-01-01 12:00:00.5``, ``0044-03-15 BC``, ``infinity``, instants in UTC with a ``Z``).
4. The blanks that pad a ``char(n)`` are no part of its value; a target with such a type pads again.
5. Values that break a guard change only in columns the request named in ALLOW LOSSY: they become NULL, or are
   cut to what fits (digits of a second, length, NUL characters).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import INFINITE_TIMESTAMP, arrow_type
from migration.connectors.convert import decimals
from migration.connectors.duckdb_forms import json_array, plain
from migration.errors import MigrationError
from migration.local_engine import EngineError, open_engine
from migration.types import CanonicalType
from migration.values.conditions import offence
from migration.values.documents import LENGTHS, is_for_python, keeps

Convert = Callable[[pa.Array], pa.Array]
_JSON = ("json", "struct", "map")  # what travels as JSON text


@dataclass(frozen=True, slots=True)
class ColumnForm:
    """One column: what arrives, what leaves, and the guards that may be broken on the way."""

    name: str
    source: CanonicalType
    target: CanonicalType
    cast: str = ""
    lossy: tuple[str, ...] = ()

    @property
    def arrow(self) -> pa.DataType:
        """The Arrow type that leaves."""
        given, wanted = arrow_type(self.source), arrow_type(self.target)
        if pa.types.is_binary(given) and pa.types.is_string(wanted) and self.cast != "text":
            return given  # an engine whose strings are bytes
        return wanted


class Transform:
    """Turns whole batches. One thread uses it; ``close`` ends its engine."""

    def __init__(self, forms: Sequence[ColumnForm]) -> None:
        self.forms = tuple(forms)
        self.schema = pa.schema([pa.field(form.name, form.arrow) for form in self.forms])
        self._engine: Any = None
        self._converts = [self._convert(form) for form in self.forms]
        self.is_identity = all(convert is None for convert in self._converts)

    def __call__(self, batch: pa.RecordBatch) -> pa.RecordBatch:
        """``batch`` in the target's form; its columns stand in the order of the forms."""
        arrays = []
        for form, convert, array in zip(self.forms, self._converts, batch.columns, strict=True):
            try:
                arrays.append(array if convert is None else convert(array))
            except (pa.ArrowException, EngineError, ValueError) as error:
                raise MigrationError(
                    "HV004",
                    f'a value of column "{form.name}" does not fit {form.target}',
                    detail=str(error),
                    hint=f'CAST ("{form.name}" AS type), SKIP ("{form.name}") or AS TEXT ("{form.name}").',
                    column=form.name,
                ) from error
        return pa.RecordBatch.from_arrays(arrays, schema=self.schema)

    def close(self) -> None:
        """Frees the engine of text forms."""
        if self._engine is not None:
            self._engine.close()
            self._engine = None

    def _convert(self, form: ColumnForm) -> Convert | None:
        steps: list[Convert] = [self._lossy(form, guard) for guard in form.lossy]
        if form.source.kind == "text" and form.source.fixed:
            steps.append(lambda array: pc.utf8_rtrim(array, characters=" "))
        given, wanted = arrow_type(form.source), form.arrow
        if form.cast == "uuid_text" and form.target.kind == "uuid":
            steps.append(lambda array: self._run("x::UUID::VARCHAR", array))
        if given != wanted:
            steps.append(self._between(form, given, wanted))
        if not steps:
            return None
        if len(steps) == 1:
            return steps[0]

        def all_steps(array: pa.Array) -> pa.Array:
            for step in steps:
                array = step(array)
            return array

        return all_steps

    def _between(self, form: ColumnForm, given: pa.DataType, wanted: pa.DataType) -> Convert:
        if pa.types.is_string(wanted):
            return self._to_text(form, given)
        if pa.types.is_decimal(wanted) and pa.types.is_string(given):
            return lambda array: decimals(array, wanted)
        if pa.types.is_decimal(wanted) and pa.types.is_integer(given):
            wide = pa.decimal128(20, 0)
            return lambda array: pc.cast(pc.cast(array, wide), wanted)
        if pa.types.is_boolean(given) and pa.types.is_integer(wanted):
            return lambda array: pc.cast(pc.cast(array, pa.int8()), wanted)
        if pa.types.is_boolean(given) and pa.types.is_decimal(wanted):
            wide = pa.decimal128(3, 0)
            return lambda array: pc.cast(pc.cast(pc.cast(array, pa.int8()), wide), wanted)
        if pa.types.is_timestamp(wanted) and pa.types.is_timestamp(given):
            return _clock(given, wanted)
        if (
            pa.types.is_list(wanted)
            and pa.types.is_list(given)
            and form.source.element
            and form.target.element
        ):
            member = replace(form, source=form.source.element, target=form.target.element)
            if pa.types.is_timestamp(given.value_type) and pa.types.is_timestamp(wanted.value_type):
                inner = self._between(member, given.value_type, wanted.value_type)
                return lambda array: _members(array, inner)
        return lambda array: pc.cast(array, wanted, safe=True)

    def _to_text(self, form: ColumnForm, given: pa.DataType) -> Convert:
        if pa.types.is_decimal256(given):
            return _written_out
        if form.source.kind == "list":
            expression = list_expression("x", form.source)
            return lambda array: self._run(expression, plain(array))
        expression = text_expression("x", form.source.kind)
        return lambda array: self._run(expression, array)

    def _lossy(self, form: ColumnForm, guard: str) -> Convert:
        word, _, argument = guard.partition(":")
        given = arrow_type(form.source)
        if word == "fraction" and pa.types.is_timestamp(given):
            step = 10 ** ((9 if given.unit == "ns" else 6) - int(argument))
            return lambda array: _floor(array, step)
        cut = {
            "no_nul": "replace(x, chr(0), '')" if form.source.kind == "text" else "",
            "chars": f"x[1:{argument}]",
            "octets": f"x[1:{argument}]" if form.source.kind == "bytes" else "",
        }.get(word)
        if cut:
            return lambda array: self._run(cut, array)
        if guard.startswith(LENGTHS):  # what is left of a document would be none
            long = too_long(guard, form.source)
            return lambda array: pc.if_else(self._run(long, plain(array)), None, array)
        if is_for_python(guard, form.source):
            return lambda array: pa.array(
                [value if keeps(guard, form.source, value) else None for value in array.to_pylist()],
                array.type,
            )
        broken = offence(guard, form.source, "x", "duckdb")
        if broken is None:
            return lambda array: array
        if pa.types.is_decimal256(given):  # which DuckDB reads as their texts only
            wrong = f"coalesce({broken}, false)"
            return lambda array: pc.if_else(self._run(wrong, _written_out(array)), None, array)
        return lambda array: self._run(f"CASE WHEN {broken} THEN NULL ELSE x END", array)

    def _run(self, expression: str, array: pa.Array) -> pa.Array:
        """``expression`` over ``x`` for each value; the result keeps its order."""
        if self._engine is None:
            self._engine = open_engine(threads=1)
        self._engine.register("bough_batch", pa.table({"x": array}))
        try:
            result = self._engine.sql(f"SELECT {expression} AS y FROM bough_batch").to_arrow_table()
        finally:
            self._engine.unregister("bough_batch")
        column = result.column("y").combine_chunks()
        return pa.concat_arrays(column.chunks) if isinstance(column, pa.ChunkedArray) else column


def _written_out(array: pa.Array) -> pa.Array:
    return pa.array([None if value is None else f"{value:f}" for value in array.to_pylist()], pa.string())


def list_expression(column: str, type_: CanonicalType, depth: int = 0) -> str:
    """DuckDB's SQL for a canonical list as JSON. Members that are JSON already are put in as they stand: DuckDB would
    write their numbers anew, as doubles, and a text as a string."""
    item, element, end = f"x{depth}", type_.element, type_.innermost
    if element is None or not (end.kind in _JSON or pa.types.is_decimal256(arrow_type(end))):
        return f"to_json({column})::VARCHAR"
    inner = list_expression(item, element, depth + 1) if element.kind == "list" else item
    return json_array(column, item, f"coalesce({inner}, 'null')")


def too_long(guard: str, type_: CanonicalType) -> str:
    """DuckDB's SQL that is true where the JSON of a canonical list, map or struct is longer than ``guard`` says."""
    text = list_expression("x", type_) if type_.kind == "list" else "x"
    word, _, most = guard.partition(":")
    return f"coalesce({'length' if word == 'json_chars' else 'strlen'}({text}) > {int(most)}, false)"


def text_expression(column: str, kind: str) -> str:
    """DuckDB's SQL for the text form of a canonical column."""
    if kind == "bytes":
        return f"'\\x' || lower(hex({column}))"
    if kind not in ("date", "timestamp", "instant"):
        return f"{column}::VARCHAR"
    if kind != "instant":
        return f"replace({column}::VARCHAR, ' (BC)', ' BC')"
    utc = f"({column} AT TIME ZONE 'UTC')::VARCHAR"
    return (
        f"CASE WHEN ends_with({utc}, 'infinity') THEN {utc} "
        f"WHEN contains({utc}, ' (BC)') THEN replace({utc}, ' (BC)', '') || 'Z BC' ELSE {utc} || 'Z' END"
    )


def _clock(given: pa.DataType, wanted: pa.DataType) -> Convert:
    if given.unit == wanted.unit:
        return lambda array: array.cast(pa.int64()).cast(wanted)

    def convert(array: pa.Array) -> pa.Array:
        ticks = array.cast(pa.int64())
        infinite = pc.is_in(ticks, pa.array([INFINITE_TIMESTAMP, -INFINITE_TIMESTAMP]))
        plain_ones = pc.if_else(infinite, 0, ticks).cast(pa.timestamp(given.unit))
        # Safe: from nanoseconds a guard has seen that nothing finer than a microsecond is there.
        moved = pc.cast(plain_ones, pa.timestamp(wanted.unit), safe=True).cast(pa.int64())
        return pc.if_else(infinite, ticks, moved).cast(wanted)

    return convert


def _members(array: pa.Array, convert: Convert) -> pa.Array:
    """A list with its members converted."""
    start, stop = array.offsets[0].as_py(), array.offsets[-1].as_py()
    offsets = pc.subtract(array.offsets, pa.scalar(start, pa.int32()))
    return pa.ListArray.from_arrays(
        offsets, convert(array.values.slice(start, stop - start)), mask=array.is_null()
    )


def _floor(array: pa.Array, step: int) -> pa.Array:
    ticks: Any = array.cast(pa.int64())
    rest = pc.subtract(ticks, pc.multiply(pc.divide(ticks, step), step))
    rest = pc.if_else(pc.less(rest, 0), pc.add(rest, step), rest)
    infinite = pc.greater_equal(pc.abs(pc.if_else(pc.less(ticks, 0), pc.add(ticks, 1), ticks)), (1 << 63) - 2)
    return pc.if_else(infinite, ticks, pc.subtract(ticks, rest)).cast(array.type)
