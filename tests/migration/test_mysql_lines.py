"""Rows on MySQL's wire: what a server that ends in the middle of one leaves is no row."""

from __future__ import annotations

import io
from types import SimpleNamespace

import pytest
from pymysql import err

from migration.connectors.mysql_lines import packets

_ROWS = [b"1,\x02one\x02", b"2," + b"\x02" + b"x" * 400 + b"\x02"]
_LONG = b"y" * (0xFFFFFF - 4 + 10)  # 16 MB with its length before it, and ten bytes in the next packet


def _packet(number: int, body: bytes) -> bytes:
    return len(body).to_bytes(3, "little") + bytes([number]) + body


def _read(sent: bytes) -> list[bytes]:
    session = SimpleNamespace(_rfile=io.BytesIO(sent), _result=SimpleNamespace(unbuffered_active=True))
    found = []
    with pytest.raises(err.OperationalError, match="Lost connection"):
        for row in packets(session):
            found.append(row)
    return found


def test_a_row_is_whole_or_is_not_there() -> None:
    ends, sent = [0], b""
    for number, row in enumerate(_ROWS):
        length = bytes([len(row)]) if len(row) < 0xFB else b"\xfc" + len(row).to_bytes(2, "little")
        sent += _packet(number, length + row)
        ends.append(len(sent))
    for cut in range(len(sent) + 1):
        whole = sum(end <= cut for end in ends[1:])
        assert _read(sent[:cut]) == _ROWS[:whole], cut


def test_a_row_of_two_packets_is_whole_or_is_not_there() -> None:
    body = b"\xfd" + (len(_LONG) & 0xFFFFFF).to_bytes(3, "little") + _LONG
    first, second = _packet(0, body[:0xFFFFFF]), _packet(1, body[0xFFFFFF:])
    assert _read(first + second) == [_LONG]
    for cut in (0, 2, 4, len(second) - 1):
        assert _read(first + second[:cut]) == []
