"""A column of a COPY FROM: how its values travel from text or binary to Arrow, and from there into the table.

A column is carried in an Arrow type that holds every value the codec of its Postgres type can give. Where the engine's
type is that very type nothing more is needed; otherwise the column travels as text in the engine's own spelling, and
``expression`` is the cast around it.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

import pyarrow as pa

from proxy.types import TypeInfo, ValueFormatError, codec_of, decode_binary, decode_text
from proxy.types.calendar import DAY, read_moment

_UNIX_DAYS = 10_957  # from 1970 to 2000, where Postgres counts from
_UNIX_MICROS = _UNIX_DAYS * DAY
_INFINITE_DAYS = 2**31 - 1  # as the engine has them; Postgres' own minus infinity is one less
_INFINITE_MICROS = 2**63 - 1
_INT32 = struct.Struct("!i")
_INT64 = struct.Struct("!q")
_INTEGERS: dict[str, pa.DataType] = {
    "TINYINT": pa.int8(),
    "SMALLINT": pa.int16(),
    "INTEGER": pa.int32(),
    "BIGINT": pa.int64(),
    "UTINYINT": pa.uint8(),
    "USMALLINT": pa.uint16(),
    "UINTEGER": pa.uint32(),
}
_TIMESTAMPS = frozenset(
    {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS", "TIMESTAMP WITH TIME ZONE"}
)
_DECIMAL = re.compile(r"DECIMAL\((\d+), ?(\d+)\)\Z", re.IGNORECASE)
_ARRAY = re.compile(r"(.*)\[\d*\]\Z", re.DOTALL)
_NESTED = ("STRUCT", "MAP", "UNION")
_EXACT = Context(prec=200, rounding=ROUND_HALF_UP)
Carry = Callable[[Any], Any]


@dataclass(frozen=True)
class CopyColumn:
    """``type`` is the engine's, ``info`` what clients are told. ``zone`` reads timestamptz text that names none."""

    name: str
    type: str
    info: TypeInfo
    zone: str = "UTC"

    @cached_property
    def base(self) -> str:
        """The engine type without its parameters; ``LIST`` for lists."""
        return "LIST" if _ARRAY.match(self.type) else self.type.partition("(")[0].strip().upper()

    @cached_property
    def arrow(self) -> pa.DataType:
        """What carries the column."""
        return _carrier(self.type, self.zone)[0]

    @cached_property
    def _carry(self) -> Carry:
        return _carrier(self.type, self.zone)[1]

    @cached_property
    def cast(self) -> bool:
        """Whether the carried column must be cast to the table's type."""
        return not (
            self.base in _INTEGERS
            or self.base in ("BOOLEAN", "FLOAT", "DOUBLE", "DECIMAL", "VARCHAR", "BLOB", "DATE")
            or self.base in ("TIMESTAMP", "TIMESTAMP WITH TIME ZONE")
        )

    @property
    def nested(self) -> bool:
        """Whether the column is read from JSON."""
        return self.base.startswith(_NESTED)

    @cached_property
    def as_text(self) -> bool:
        """Whether what is carried is the very text a client sent."""
        return self.base == "VARCHAR" and self.info.name not in ("json", "jsonb")

    # -- values ---------------------------------------------------------------------------------------------------

    def from_text(self, data: bytes) -> Any:
        """A value in text format, as it is carried."""
        if self.base == "FLOAT":  # by way of a double it would be rounded twice
            exact = decode_text(data, self.info.oid)
            value = pa.scalar(data.decode().strip()).cast(pa.float32()).as_py()
            if value == 0 != exact:
                raise ValueFormatError("22003", f'"{data.decode()}" is out of range for type real')
            return value
        return self._carry(decode_text(data, self.info.oid))

    def carried(self, value: Any) -> Any:
        """A decoded value, as it is carried."""
        return self._carry(value)

    @cached_property
    def from_binary(self) -> Callable[[bytes], Any]:
        """What makes a value in binary format one that is carried."""
        if self.base == "DATE" and self.info.name == "date":
            return _binary_date
        if self.base in _TIMESTAMPS and self.info.name in ("timestamp", "timestamptz"):
            return _binary_timestamp
        oid, carry = self.info.oid, self._carry
        if carry is _same and self.base != "FLOAT":
            return codec_of(oid).decode_binary
        return lambda data: carry(decode_binary(data, oid))

    def array(self, values: Sequence[Any]) -> pa.Array:
        """Carried values as an Arrow array."""
        built = pa.array(values, type=_storage(self.arrow))
        return built if built.type == self.arrow else built.cast(self.arrow)


def _binary_date(data: bytes) -> int:
    if len(data) != 4:
        raise ValueFormatError("22P03", "incorrect binary data format")
    days: int = _INT32.unpack(data)[0]
    if days == 2**31 - 1:
        return _INFINITE_DAYS
    if days == -(2**31):
        return -_INFINITE_DAYS
    return days + _UNIX_DAYS


def _binary_timestamp(data: bytes) -> int:
    if len(data) != 8:
        raise ValueFormatError("22P03", "incorrect binary data format")
    micros: int = _INT64.unpack(data)[0]
    if micros == 2**63 - 1:
        return _INFINITE_MICROS
    if micros == -(2**63):
        return -_INFINITE_MICROS
    return micros + _UNIX_MICROS


def _storage(type: pa.DataType) -> pa.DataType:
    """What Python values are put into before the type itself: counts of days and microseconds."""
    if pa.types.is_date32(type):
        return pa.int32()
    if pa.types.is_timestamp(type):
        return pa.int64()
    if pa.types.is_list(type):
        return pa.list_(_storage(type.value_type))
    return type


def _same(value: Any) -> Any:
    return value


def _carrier(type_text: str, zone: str) -> tuple[pa.DataType, Carry]:
    """The Arrow type that carries an engine type, and what makes a decoded value one of it."""
    if found := _ARRAY.match(type_text):
        inner, carry = _carrier(found[1], zone)
        return pa.list_(inner), lambda items: [None if item is None else carry(item) for item in items]
    base = type_text.partition("(")[0].strip().upper()
    if base == "BOOLEAN":
        return pa.bool_(), _same
    if base in _INTEGERS:
        return _INTEGERS[base], _ranged(base)
    if base in ("FLOAT", "DOUBLE"):
        return (pa.float32() if base == "FLOAT" else pa.float64()), _same
    if (decimal := _DECIMAL.match(type_text)) is not None:
        width, scale = int(decimal[1]), int(decimal[2])
        return pa.decimal128(width, scale), _rounded(width, scale)
    if base == "VARCHAR":
        return pa.string(), _same
    if base == "BLOB":
        return pa.binary(), _same
    if base == "DATE":
        return pa.date32(), _days
    if base == "TIMESTAMP WITH TIME ZONE":
        return pa.timestamp("us", "UTC"), lambda value: _micros(value, zone)
    if base in _TIMESTAMPS:
        return pa.timestamp("us"), lambda value: _micros(value, None)
    return pa.string(), _spelled


_LIMITS = {
    "TINYINT": (-(2**7), 2**7 - 1),
    "UTINYINT": (0, 2**8 - 1),
    "USMALLINT": (0, 2**16 - 1),
    "UINTEGER": (0, 2**32 - 1),
}


def _ranged(base: str) -> Carry:
    """Integers of the engine that Postgres knows as a larger type."""
    if base not in _LIMITS:
        return _same
    low, high = _LIMITS[base]

    def check(value: Any) -> Any:
        if not low <= value <= high:
            raise ValueFormatError("22003", f'value "{value}" is out of range for type {base.lower()}')
        return value

    return check


def _rounded(width: int, scale: int) -> Carry:
    """Decimals at the column's scale, halves away from zero, as Postgres rounds them."""
    step = Decimal(1).scaleb(-scale)
    limit = Decimal(10) ** (width - scale)

    def overflow(reason: str) -> ValueFormatError:
        detail = f"A field with precision {width}, scale {scale} {reason}."
        return ValueFormatError("22003", "numeric field overflow", detail=detail)

    def fit(value: Any) -> Decimal:
        number = value if isinstance(value, Decimal) else Decimal(value)
        if not number.is_finite():
            raise overflow("cannot hold NaN" if number.is_nan() else "cannot hold an infinite value")
        if number.adjusted() < width - scale + 2:
            number = number.quantize(step, context=_EXACT)
        if number.copy_abs() >= limit:  # abs() would round
            power = f"10^{width - scale}" if width > scale else "1"
            raise overflow(f"must round to an absolute value less than {power}")
        return number

    return fit


def _days(value: Any) -> int:
    if isinstance(value, date):
        return value.toordinal() - 719_163
    if value in ("infinity", "-infinity"):
        return _INFINITE_DAYS if value == "infinity" else -_INFINITE_DAYS
    return read_moment(value, "date").days + _UNIX_DAYS


def _micros(value: Any, zone: str | None) -> int:
    """Microseconds since 1970, in UTC where there is a zone."""
    if isinstance(value, datetime):
        offset = value.utcoffset() or timedelta(0)
        since = value.replace(tzinfo=None) - datetime(1970, 1, 1) - offset
        return since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    if value in ("infinity", "-infinity"):
        return _INFINITE_MICROS if value == "infinity" else -_INFINITE_MICROS
    moment = read_moment(value, "timestamp")
    micros = moment.days * DAY + moment.micros + _UNIX_MICROS
    if moment.offset is not None:
        return micros - moment.offset * 1_000_000
    return micros if zone is None else micros - _offset(moment, moment.zone or zone) * 1_000_000


def _offset(moment: Any, zone: str) -> int:
    """The zone's offset at a local time, in seconds. As Postgres: before a gap's jump, after a fold's."""
    year = min(max(moment.year, 2), 9998)
    local = datetime(year, moment.month, min(moment.day, 28) if year != moment.year else moment.day)
    local += timedelta(microseconds=moment.micros)
    try:
        key = ZoneInfo(zone)
    except (KeyError, ValueError, OSError):
        raise ValueFormatError("22023", f'time zone "{zone}" not recognized') from None
    first, second = (local.replace(tzinfo=key, fold=fold).utcoffset() for fold in (0, 1))
    assert first is not None and second is not None
    chosen = second if first > second else first
    return chosen.days * 86_400 + chosen.seconds


def _spelled(value: Any) -> str:
    """A value as text that the engine casts to its type."""
    if isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return str(value)
