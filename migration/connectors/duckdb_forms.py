"""The forms in which DuckDB gives and takes canonical values as Arrow, exactly.

Types Arrow has no exact form for leave as text and are cast back on the way in. No engine here: only SQL text
and arrays.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from migration.connectors.arrow import arrow_type
from migration.connectors.base import ReadColumn
from migration.connectors.convert import from_texts
from migration.connectors.fitting import fit, fit_batch
from migration.connectors.queries import quoted
from migration.dialects import DialectContract, contract
from migration.dialects.quoting import quote_text
from migration.dialects.type_map import map_canonical
from migration.model import TableSpec
from migration.types import CanonicalType

_DUCKDB = contract("duckdb")
_LENGTH = re.compile(r"\[\d*\]$")  # of a list, or of an array of so many
_TEXTS = ("bit", "unknown")  # what the engine does not read from JSON, but from its text
_NULLS = re.compile(r'"NULL"(\[\d*\])*')


def exported(expression: str, type_: CanonicalType) -> str:
    """An expression in a form whose Arrow export is exact."""
    target = arrow_type(type_)
    if type_.kind in ("struct", "map"):
        return document(expression, type_)
    if pa.types.is_string(target) or pa.types.is_decimal256(target):
        return f"CAST({expression} AS VARCHAR)"
    if pa.types.is_timestamp(target):
        wanted = "TIMESTAMPTZ" if target.tz else "TIMESTAMP" if target.unit == "us" else "TIMESTAMP_NS"
        return f"CAST({expression} AS {wanted})"
    if type_.kind == "list" and type_.element is not None:
        inner = exported("x", type_.element)
        return expression if inner == "x" else f"list_transform({expression}, lambda x: {inner})"
    if pa.types.is_decimal128(target):
        return f"CAST({expression} AS DECIMAL({target.precision}, {target.scale}))"
    return expression


def document(expression: str, type_: CanonicalType, depth: int = 0) -> str:
    """A value as JSON text. ``to_json`` reads JSON inside it anew and keeps its numbers as doubles, so a value with
    such a part is put together here, the part as it stands."""
    if not any(leaf.kind == "json" for leaf in type_.leaves()):
        return f"CAST(to_json({expression}) AS VARCHAR)"
    if type_.kind == "json":
        return f"CAST({expression} AS VARCHAR)"
    item = f"x{depth}"

    def member(value: str, of: CanonicalType) -> str:
        return f"coalesce({document(value, of, depth + 1)}, 'null')"

    if type_.kind == "list" and type_.element is not None:
        return json_array(expression, item, member(item, type_.element))
    if type_.kind == "map" and type_.element is not None:
        pair = f"to_json(CAST({item}.key AS VARCHAR)) || ':' || {member(f'{item}.value', type_.element)}"
        members = f"list_transform(map_entries({expression}), lambda {item}: {pair})"
        return f"'{{' || array_to_string({members}, ',') || '}}'"
    pairs = []
    for name, field in type_.fields:
        key = quote_text(json.dumps(name, ensure_ascii=False) + ":", _DUCKDB)
        part = f"struct_extract({expression}, {quote_text(name, _DUCKDB)})"
        pairs.append(f"{key} || {member(part, field)}")
    whole = " || ',' || ".join(pairs)
    return f"CASE WHEN {expression} IS NOT NULL THEN '{{' || {whole} || '}}' END"


def json_array(column: str, item: str, member: str) -> str:
    """The SQL of a list as a JSON array; ``member`` is that of each ``item`` as JSON."""
    members = f"list_transform({column}, lambda {item}: {member})"
    return f"'[' || array_to_string({members}, ',') || ']'"


def typed(type_: str) -> str:
    """A column's type as DuckDB describes it; of one that is ``NULL`` throughout, a type that can be declared."""
    return type_.replace('"NULL"', "VARCHAR", 1) if _NULLS.fullmatch(type_) else type_


def imported(array: pa.Array, column: ReadColumn) -> pa.Array:
    """An exported column in its canonical form."""
    wanted = arrow_type(column.type)
    if array.type == wanted:
        return array
    if pa.types.is_string(array.type):
        return from_texts(array, column.type, column.name)
    if pa.types.is_dictionary(array.type):
        return array.dictionary_decode()
    return pc.cast(array, wanted, safe=True)


def restored(expression: str, type_: CanonicalType, declared: str) -> str:
    """The way back from what ``exported`` made of a type."""
    if type_.kind in ("struct", "map"):
        form = _from_json(type_, declared)
        made = f"CAST(CAST({expression} AS JSON) AS {form})"
        return f"CAST({made} AS {declared})" if form != declared else made
    element = type_.element if type_.kind == "list" else None
    if element is not None and (element.is_nested or element.kind == "interval"):
        inner = restored("x", element, _LENGTH.sub("", declared))
        return f"CAST(list_transform({expression}, lambda x: {inner}) AS {declared})"
    if type_.kind == "interval":
        expression = (
            f"replace({expression}, '+', '')"  # PostgreSQL's after a negative part, which DuckDB cannot read
        )
    return f"CAST({expression} AS {declared})"


def _from_json(type_: CanonicalType, declared: str) -> str:
    """The type that the engine reads from JSON on the way to ``declared``: it reads no BIT, and of a map no keys but
    texts and numbers. Those stay texts, which a second cast makes of."""
    if not _has_texts(type_):
        return declared

    def spelled(part: CanonicalType) -> str:
        if part.kind == "struct":
            members = ", ".join(f"{quoted(name, _DUCKDB)} {spelled(of)}" for name, of in part.fields)
            return f"STRUCT({members})"
        if part.kind == "map" and part.key is not None and part.element is not None:
            return f"MAP({'VARCHAR' if part.key.is_nested else spelled(part.key)}, {spelled(part.element)})"
        if part.kind == "list" and part.element is not None:
            return f"{spelled(part.element)}[]"
        return "VARCHAR" if part.kind in _TEXTS else map_canonical(part, _DUCKDB).target_type

    return spelled(type_)


def _has_texts(type_: CanonicalType) -> bool:
    parts = [part for part in (type_.key, type_.element, *(of for _, of in type_.fields)) if part]
    nested_key = type_.kind == "map" and type_.key is not None and type_.key.is_nested
    whole = type_.kind == "decimal" and type_.precision is None  # a BIGNUM
    return type_.kind in _TEXTS or whole or nested_key or any(_has_texts(part) for part in parts)


def plain_type(type_: pa.DataType) -> pa.DataType:
    """DuckDB reads no 256-bit decimals; their text it reads exactly."""
    if pa.types.is_list(type_):
        return pa.list_(plain_type(type_.value_type))
    return pa.string() if pa.types.is_decimal256(type_) else type_


def plain(array: pa.Array) -> pa.Array:
    """An array in a form DuckDB reads."""
    wanted = plain_type(array.type)
    return array if wanted == array.type else pc.cast(array, wanted)


class Incoming:
    """Batches on their way into a table; HV004 at once where a column of theirs does not fit.

    ``reader`` is what a session registers under a name, ``insert`` the statement that empties it, and ``size`` the
    bytes it has read so far. ``failure`` is why there are no more: the engine would say it in words of its own.
    """

    def __init__(
        self, batches: Iterable[pa.RecordBatch], schema: pa.Schema, table: TableSpec, item: DialectContract
    ) -> None:
        self.size = 0
        self.failure: Exception | None = None
        self._batches, self._item = batches, item
        self._fits = fit(schema, table)
        forms = [pa.field(each.column.name, plain_type(arrow_type(each.column.type))) for each in self._fits]
        self.reader = pa.RecordBatchReader.from_batches(pa.schema(forms), self._plain())

    def _plain(self) -> Iterator[pa.RecordBatch]:
        try:
            for batch in self._batches:
                self.size += batch.nbytes
                ready = fit_batch(batch, self._fits)
                yield pa.record_batch([plain(array) for array in ready.columns], names=ready.schema.names)
        except Exception as reason:
            self.failure = reason
            raise

    def insert(self, table: str, given: str) -> str:
        """The INSERT into ``table``, as SQL names it, of what is registered as ``given``."""
        columns = [each.column for each in self._fits]
        names = [quoted(column.name, self._item) for column in columns]
        values = [
            restored(name, column.type, column.declared or "")
            for name, column in zip(names, columns, strict=True)
        ]
        return f"INSERT INTO {table} ({', '.join(names)}) SELECT {', '.join(values)} FROM {given}"
