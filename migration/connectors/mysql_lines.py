"""Rows of MySQL as lines of text, in both directions.

Out: the server builds one CSV field per column (``exported``) and joins them, and ``packets`` takes the lines
from the wire without looking inside. A quote in a value is doubled by the server's REPLACE, which moves the rest of
the value each time: a text of nine million quotes would take it for hours. So the quote is a character that texts
hardly have, and a long text that has it leaves as hexadecimal digits (``restored``). In: Arrow builds the same kind
of line for LOAD DATA, where a bare word NULL is NULL and ``ESCAPED BY ''`` makes a backslash a backslash.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pymysql import err

from migration.connectors.convert import unfit
from migration.connectors.fitting import Fit
from migration.connectors.queries import quoted
from migration.connectors.texts import to_texts
from migration.dialects import DialectContract
from migration.errors import MigrationError
from migration.model import ColumnSpec
from migration.types import CanonicalType

QUOTE = "\x02"
_SHORT = 4096  # bytes of a text, in whatever character set it is stored in
_WIDEST = 3 * _SHORT  # bytes of a short one in UTF-8
_BARE = ("decimal", "float64", "date", "timestamp", "time")


def exported(expression: str, type_: CanonicalType) -> str:
    """One CSV field: NULL is empty, text is quoted; NULL where a value is longer than the server makes a text."""
    if type_.is_integer or type_.kind in _BARE or type_.kind == "bool":
        field = expression
    elif type_.kind == "float32":
        field = f"CAST({expression} AS DOUBLE)"
    elif type_.kind == "instant":
        field = f"CONCAT({expression}, 'Z')"
    elif type_.kind == "bytes":
        field = f"CONCAT('{QUOTE}', HEX({expression}), '{QUOTE}')"
    elif type_.kind == "unknown":  # a geometry or a vector: bytes that are no text
        field = f"HEX({expression})"
    elif type_.kind == "bit":
        field = f"LPAD(BIN({expression} + 0), {type_.length or 64}, '0')"
    else:
        field = _quoted(f"CONVERT({expression} USING utf8mb4)", expression)
    empty = f"IF({expression} IS NULL, '', NULL)" if QUOTE in field else "''"
    return f"IFNULL({field}, {empty})"


def _quoted(value: str, stored: str) -> str:
    """A text in quotes; as digits it begins with the quote and has more bytes than a short one that begins with it."""
    digits = f"CONCAT('{QUOTE * 3}', HEX({value}), SPACE({_WIDEST}), '{QUOTE}')"
    whole = f"IF(CAST({value} AS BINARY) LIKE '%{QUOTE}%', {digits}, CONCAT('{QUOTE}', {value}, '{QUOTE}'))"
    short = f"CONCAT('{QUOTE}', REPLACE({value}, '{QUOTE}', '{QUOTE * 2}'), '{QUOTE}')"
    return f"IF(LENGTH({stored}) > {_SHORT}, {whole}, {short})"


def restored(texts: pa.Array) -> pa.Array:
    """A column of texts with those that left as digits."""
    coded = pc.and_(pc.starts_with(texts, QUOTE), pc.greater(pc.binary_length(texts), _WIDEST))
    if not pc.any(coded).as_py():
        return texts
    values = [
        bytes.fromhex(value[1:]).decode() if digits else value  # which passes over the blanks
        for value, digits in zip(texts.to_pylist(), coded.to_pylist(), strict=True)
    ]
    return pa.array(values, texts.type)


def _lost() -> err.OperationalError:
    return err.OperationalError(2013, "Lost connection to server during query")


def packets(session: Any) -> Generator[bytes, None, int]:
    """The rows of an open unbuffered result of one column, as the server sent them; returns how many warnings came."""
    warnings = 0
    read = session._rfile.read
    while True:
        header = read(4)
        if len(header) < 4:
            raise _lost()
        length = header[0] | header[1] << 8 | header[2] << 16
        data = read(length)
        if len(data) < length:
            raise _lost()
        while length == 0xFFFFFF:  # a packet of 16 MB is continued
            header = read(4)
            if len(header) < 4:
                raise _lost()
            length = header[0] | header[1] << 8 | header[2] << 16
            more = read(length)
            if len(more) < length:
                raise _lost()
            data += more
        first = data[0]
        if first < 0xFB:
            yield data[1:]
        elif first == 0xFE and len(data) < 9:
            warnings = int(data[1] | data[2] << 8)
            break
        elif first == 0xFF:
            session._result.unbuffered_active = False
            err.raise_mysql_exception(data)
        elif first == 0xFB:  # CONCAT gives NULL where a row is longer than max_allowed_packet
            raise MigrationError(
                "54000",
                "a row is longer than the server's max_allowed_packet",
                hint="Raise it on the server.",
            )
        else:
            yield data[{0xFC: 3, 0xFD: 4, 0xFE: 9}[first] :]
    session._result.unbuffered_active = False
    return warnings


def load_columns(columns: Sequence[ColumnSpec], item: DialectContract) -> str:
    """The column list of LOAD DATA; bytes and bits go through variables."""
    names, sets = [], []
    for index, column in enumerate(columns):
        name = quoted(column.name, item)
        if column.type.kind in ("bytes", "bit", "unknown"):
            names.append(f"@c{index}")
            value = (
                f"UNHEX(@c{index})"
                if column.type.kind != "bit"
                else f"CAST(CONV(@c{index}, 2, 10) AS UNSIGNED)"
            )
            sets.append(f"{name} = {value}")
        else:
            names.append(name)
    return f"({', '.join(names)})" + (f" SET {', '.join(sets)}" if sets else "")


def file_content(batch: pa.RecordBatch, fits: Sequence[Fit]) -> bytes:
    """A batch as lines for LOAD DATA."""
    fields = [_field(array, item.column) for array, item in zip(batch.columns, fits, strict=True)]
    lines = pc.binary_join_element_wise(*fields, ",") if len(fields) > 1 else fields[0]
    return ("\n".join(lines.to_pylist()) + "\n").encode()


def lone_columns(batch: pa.RecordBatch, fits: Sequence[Fit]) -> list[list[Any]]:
    """A batch as Python values to bind: texts, and bytes as they are."""
    return [
        array.to_pylist() if pa.types.is_binary(array.type) else _texts(array, item.column).to_pylist()
        for array, item in zip(batch.columns, fits, strict=True)
    ]


def _texts(array: pa.Array, column: ColumnSpec) -> pa.Array:
    if (
        pa.types.is_floating(array.type)
        and not pc.all(pc.is_finite(array)).as_py()
        and array.null_count < len(array)
    ):
        raise unfit(column.name, column.type, "MySQL has no NaN and no infinity")
    if pa.types.is_float32(array.type):
        array = pc.cast(array, pa.float64())  # the server rounds to the nearest single itself
    if pa.types.is_boolean(array.type):
        array = pc.cast(array, pa.int8())
    if (column.declared or "").lower().startswith("year"):
        return pc.utf8_lpad(to_texts(array), 4, "0")  # of the text 0 it makes 2000, of 0000 the year 0000
    return to_texts(array)


def _field(array: pa.Array, column: ColumnSpec) -> pa.Array:
    texts = _texts(array, column)
    if not (
        pa.types.is_integer(array.type) or pa.types.is_floating(array.type) or pa.types.is_boolean(array.type)
    ):
        doubled = pc.replace_substring(texts, '"', '""')
        texts = pc.binary_join_element_wise('"', doubled, '"', "")
    return pc.fill_null(texts, "NULL")
