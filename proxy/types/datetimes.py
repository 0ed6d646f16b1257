"""date, time, timetz, timestamp, timestamptz.

Binary values count from 2000-01-01: days (int32) or microseconds (int64), the outermost integers being the
infinities. ``datetime.date.max`` and ``datetime.datetime.max`` mean just that day: an infinity is a ``str``.
timestamptz text without a zone stays text, for the engine to read in the session's TimeZone.
"""

from __future__ import annotations

import datetime
import re
import struct
from typing import Any

from .calendar import (
    DAY,
    EPOCH_ORDINAL,
    Moment,
    civil,
    clock,
    offset_text,
    postgres_spelling,
    read_fraction,
    read_moment,
    read_offset,
)
from .codec import Codec, Decoder
from .errors import (
    DATETIME_OVERFLOW,
    INVALID_BINARY,
    INVALID_DATETIME,
    ValueFormatError,
    invalid_text,
    sized,
    utf8,
)

_INT32 = struct.Struct("!i")
_INT64 = struct.Struct("!q")
_TIMETZ = struct.Struct("!qi")
_INFINITE = {"infinity": 1, "+infinity": 1, "inf": 1, "-infinity": -1, "-inf": -1}
_DAYS = {1: 2**31 - 1, -1: -(2**31)}
_MICROS = {1: 2**63 - 1, -1: -(2**63)}
_SIGN_OF_DAYS = {days: sign for sign, days in _DAYS.items()}
_SIGN_OF_MICROS = {micros: sign for sign, micros in _MICROS.items()}
_NAME = {1: "infinity", -1: "-infinity"}
_EPOCH = datetime.datetime(2000, 1, 1)
_MIDNIGHT = datetime.time(0)
_CLOCK = re.compile(
    r"\s*(\d{1,2}):?(\d{2})(?::?(\d{2})(?:\.(\d+))?)?\s*(Z|z|UTC|[+-]\d{1,2}(?::?\d{2}(?::?\d{2})?)?)?\s*\Z",
    re.ASCII,
)


def _offset_of(value: datetime.datetime | datetime.time) -> int:
    offset = value.utcoffset()
    return 0 if offset is None else offset.days * 86400 + offset.seconds


def _trimmed(text: str) -> bytes:
    return (text.rstrip("0") if "." in text else text).encode()


def _micros_of(value: datetime.time | datetime.datetime) -> int:
    return ((value.hour * 60 + value.minute) * 60 + value.second) * 1_000_000 + value.microsecond


# -- date


def _date_text(value: Any) -> bytes:
    return (postgres_spelling(value) if isinstance(value, str) else value.isoformat()).encode()


def _date_binary(value: Any) -> bytes:
    if not isinstance(value, str):
        return _INT32.pack(value.toordinal() - EPOCH_ORDINAL)
    sign = _INFINITE.get(value)
    return _INT32.pack(_DAYS[sign] if sign else read_moment(value, "date").days)


def _plain(year: int) -> bool:
    """Python has the year, and is not mistaken by the engine's client for an infinity."""
    return 1 < year < 9999


def _date(moment: Moment) -> datetime.date | str:
    if _plain(moment.year):
        return datetime.date(moment.year, moment.month, moment.day)
    return moment.engine_text(with_time=False)


def _read_date_text(data: bytes) -> Any:
    text = utf8(data)
    word = text.strip().lower()
    if sign := _INFINITE.get(word):
        return _NAME[sign]
    if word == "epoch":
        return datetime.date(1970, 1, 1)
    return _date(read_moment(text, "date"))


def _read_date_binary(data: bytes) -> Any:
    (days,) = _INT32.unpack(sized("date", data, 4))
    if sign := _SIGN_OF_DAYS.get(days):
        return _NAME[sign]
    return _date(Moment(*civil(days)))


# -- timestamp and timestamptz


def _timestamp_text(value: Any) -> bytes:
    if isinstance(value, str):
        return postgres_spelling(value).encode()
    if value.tzinfo is None:
        return _trimmed(value.isoformat(" "))
    return _trimmed(value.replace(tzinfo=None).isoformat(" ")) + offset_text(_offset_of(value)).encode()


def _timestamp_binary(value: Any) -> bytes:
    if isinstance(value, str):
        if sign := _INFINITE.get(value):
            return _INT64.pack(_MICROS[sign])
        moment = read_moment(value, "timestamp")
        return _INT64.pack(moment.days * DAY + moment.micros - (moment.offset or 0) * 1_000_000)
    since = value.replace(tzinfo=None) - _EPOCH
    micros = since.days * DAY + since.seconds * 1_000_000 + since.microseconds
    return _INT64.pack(micros - _offset_of(value) * 1_000_000 if value.tzinfo else micros)


def _datetime(moment: Moment) -> datetime.datetime | str:
    if not _plain(moment.year):
        return moment.engine_text(with_time=True)
    value = datetime.datetime(moment.year, moment.month, moment.day) + datetime.timedelta(
        microseconds=moment.micros
    )
    if moment.offset is None:
        return value
    return value.replace(tzinfo=datetime.timezone(datetime.timedelta(seconds=moment.offset)))


def _timestamp_reader(name: str, *, zoned: bool) -> tuple[Decoder, Decoder]:
    def decode_text(data: bytes) -> Any:
        text = utf8(data)
        word = text.strip().lower()
        if sign := _INFINITE.get(word):
            return _NAME[sign]
        if word == "epoch":
            return datetime.datetime(1970, 1, 1, tzinfo=datetime.UTC if zoned else None)
        moment = read_moment(text, name)
        if not zoned:
            return _datetime(Moment(moment.year, moment.month, moment.day, moment.micros))
        if moment.offset is None:
            return moment.engine_text(with_time=True)
        if abs(moment.offset) >= 86400:
            raise ValueFormatError("22009", f'time zone displacement out of range: "{text}"')
        return _datetime(moment)

    def decode_binary(data: bytes) -> Any:
        (micros,) = _INT64.unpack(sized(name, data, 8))
        if sign := _SIGN_OF_MICROS.get(micros):
            return _NAME[sign]
        days, rest = divmod(micros, DAY)
        return _datetime(Moment(*civil(days), rest, 0 if zoned else None))

    return decode_text, decode_binary


# -- time and timetz


def _time_text(value: Any) -> bytes:
    if isinstance(value, str):
        return value.encode()
    text = _trimmed(value.replace(tzinfo=None).isoformat())
    return text if value.tzinfo is None else text + offset_text(_offset_of(value)).encode()


def _clock_of(text: str, name: str) -> tuple[int, int | None]:
    found = _CLOCK.match(text)
    if found is None:
        raise invalid_text(name, text, INVALID_DATETIME)
    hour, minute, second = (int(part or 0) for part in found.groups()[:3])
    micros = ((hour * 60 + minute) * 60 + second) * 1_000_000 + read_fraction(found[4])
    if minute > 59 or second > 60 or micros > DAY:
        raise ValueFormatError(DATETIME_OVERFLOW, f'date/time field value out of range: "{text}"')
    return micros, read_offset(found[5]) if found[5] else None


def _time_binary(value: Any) -> bytes:
    return _INT64.pack(_clock_of(value, "time")[0] if isinstance(value, str) else _micros_of(value))


def _timetz_binary(value: Any) -> bytes:
    if isinstance(value, str):
        micros, offset = _clock_of(value, "time with time zone")
        return _TIMETZ.pack(micros, -(offset or 0))
    return _TIMETZ.pack(_micros_of(value), -_offset_of(value))


def _in_a_day(micros: int) -> int:
    if not 0 <= micros <= DAY:
        raise ValueFormatError(INVALID_BINARY, "time out of range")
    return micros


def _read_time_text(data: bytes) -> str:
    return clock(_clock_of(utf8(data), "time")[0])


def _read_time_binary(data: bytes) -> str:
    return clock(_in_a_day(_INT64.unpack(sized("time", data, 8))[0]))


def _read_timetz_text(data: bytes) -> str:
    micros, offset = _clock_of(utf8(data), "time with time zone")
    return clock(micros) + offset_text(offset or 0)


def _read_timetz_binary(data: bytes) -> str:
    micros, west = _TIMETZ.unpack(sized("time with time zone", data, 12))
    if abs(west) >= 16 * 3600:
        raise ValueFormatError(INVALID_BINARY, "time zone displacement out of range")
    return clock(_in_a_day(micros)) + offset_text(-west)


DATE = Codec(_date_text, _date_binary, _read_date_text, _read_date_binary, "DATE")
TIME = Codec(_time_text, _time_binary, _read_time_text, _read_time_binary, "TIME")
TIMETZ = Codec(_time_text, _timetz_binary, _read_timetz_text, _read_timetz_binary, "TIME WITH TIME ZONE")
TIMESTAMP = Codec(
    _timestamp_text, _timestamp_binary, *_timestamp_reader("timestamp", zoned=False), "TIMESTAMP"
)
TIMESTAMPTZ = Codec(
    _timestamp_text,
    _timestamp_binary,
    *_timestamp_reader("timestamp with time zone", zoned=True),
    "TIMESTAMP WITH TIME ZONE",
)
