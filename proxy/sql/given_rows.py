"""INSERT … VALUES of many rows of plain constants, or of parameters, read as data instead of as syntax.

Tools that load rows without COPY send thousands of them in one statement. A syntax tree of sixty thousand constants
takes seconds to build, copy and translate; the constants themselves take milliseconds. Rules:

1. Only what is beyond doubt is read: an INSERT into a named table, whole rows of strings in single quotes, numbers,
   TRUE, FALSE and NULL, and nothing behind them. Anything else gives None, and is a statement like any other.
2. A constant means what Postgres' input of the column's type makes of it. Where a number is not written as that type
   is (``1.5`` for an integer, which is rounded), ``copy_lines`` gives None.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from proxy.sql.names import fold, truncate
from proxy.sql.postgres_grammar import RESERVED

FEWEST = 25  # rows from which on it is worth it
_SHORTEST = 150  # characters that so many rows have at least
_NAME = r'(?:"(?:[^"]|"")+"|[A-Za-z_\u0080-\U0010ffff][\w$]*)'
_HEAD = re.compile(
    rf"\s*INSERT\s+INTO\s+({_NAME}(?:\s*\.\s*{_NAME}){{0,2}})\s*(?:\(\s*({_NAME}(?:\s*,\s*{_NAME})*)\s*\)\s*)?VALUES\s*(?=\()",
    re.IGNORECASE,
)
_CELL = r"('[^']*(?:''[^']*)*'|[-+]?(?:\d+(?:\.\d*)?|\.\d+)(?:e[-+]?\d+)?|NULL|TRUE|FALSE)"
_COMMA = r"\s*,\s*"
_FIRST = re.compile(rf"\(\s*{_CELL}(?:\s*,\s*{_CELL})*\s*\)", re.IGNORECASE)
_ONE = re.compile(_CELL, re.IGNORECASE)
_PARAMETER = r"\$(\d+)((?:::[a-z][a-z ]*(?:\(\d+(?:\s*,\s*\d+)?\))?)?)"
_FIRST_PARAMETERS = re.compile(rf"\(\s*{_PARAMETER}(?:\s*,\s*{_PARAMETER})*\s*\)", re.IGNORECASE)
_ONE_PARAMETER = re.compile(_PARAMETER, re.IGNORECASE)
_NAMES = re.compile(_NAME)
_WHOLE = re.compile(r"[-+]?\d+")
_SPECIAL = str.maketrans({"\\": "\\\\", "\t": "\\t", "\n": "\\n", "\r": "\\r"})
_NULL = "\\N"
_WORDS = {"NULL": _NULL, "TRUE": "t", "FALSE": "f"}
_MOST = 200  # columns


@dataclass(frozen=True, slots=True)
class GivenRows:
    """``target`` is the dotted name, ``columns`` those named (none: the first ones); ``cells`` the constants as they
    are written, a tuple for each column."""

    target: tuple[str, ...]
    columns: tuple[str, ...]
    cells: tuple[tuple[str, ...], ...]

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.cells[0])


@dataclass(frozen=True, slots=True)
class ParameterRows:
    """``first`` is the statement with its first row only, ``count`` how many rows of ``width`` parameters there are,
    ``casts`` what each of a row is cast to, '' for nothing."""

    target: tuple[str, ...]
    columns: tuple[str, ...]
    first: str
    width: int
    count: int
    casts: tuple[str, ...]


def read_parameters(text: str) -> ParameterRows | None:
    """The same for ``VALUES ($1, $2), ($3, $4), …``.

    >>> rows = ", ".join(f"(${2 * i + 1}, ${2 * i + 2}::text)" for i in range(50))
    >>> found = read_parameters(f"INSERT INTO t (a, b) VALUES {rows}")
    >>> found.first, found.count, found.casts
    ('INSERT INTO t (a, b) VALUES ($1, $2::text)', 50, ('', 'text'))
    """
    if len(text) < _SHORTEST or (head := _HEAD.match(text)) is None:
        return None
    target, columns = _folded(head[1]), _folded(head[2] or "")
    first = _FIRST_PARAMETERS.match(text, head.end())
    if target is None or columns is None or first is None:
        return None
    cells = _ONE_PARAMETER.findall(first[0])
    width = len(cells)
    if width > _MOST or (columns and len(columns) != width):
        return None
    alike = _COMMA.join(rf"\$(\d+){re.escape(cast)}" for _, cast in cells)
    row = re.compile(rf"\(\s*{alike}\s*\)\s*+(,|;?+\s*+\Z)\s*")
    numbers: list[str] = []
    at = head.end()
    while (match := row.match(text, at)) is not None:
        numbers.extend(match.groups()[:width])
        at = match.end()
        if match[width + 1] != ",":
            break
    else:
        return None
    if len(numbers) < FEWEST * width or any(int(n) != i for i, n in enumerate(numbers, 1)):
        return None
    casts = tuple(cast.removeprefix("::").lower() for _, cast in cells)
    return ParameterRows(target, columns, text[: first.end()], width, len(numbers) // width, casts)


def read(text: str) -> GivenRows | None:
    """The rows of ``text``; None if it is not such a statement.

    >>> text = "INSERT INTO t (a) VALUES " + ", ".join(f"({i})" for i in range(200))
    >>> read(text).cells[0][:3]
    ('0', '1', '2')
    """
    if len(text) < _SHORTEST or (head := _HEAD.match(text)) is None:
        return None
    target, columns = _folded(head[1]), _folded(head[2] or "")
    first = _FIRST.match(text, head.end())
    if target is None or columns is None or first is None:
        return None
    width = len(_ONE.findall(first[0]))
    if width > _MOST or (columns and len(columns) != width):
        return None
    row = re.compile(rf"\(\s*{_COMMA.join([_CELL] * width)}\s*\)\s*+(,|;?+\s*+\Z)\s*", re.IGNORECASE)
    found, at = [], head.end()
    while (match := row.match(text, at)) is not None:
        found.append(match.groups())
        at = match.end()
        if match[width + 1] != ",":
            break
    else:
        return None
    if len(found) < FEWEST:
        return None
    return GivenRows(target, columns, tuple(zip(*found, strict=True))[:width])


def copy_lines(given: GivenRows, kinds: Sequence[str]) -> bytes | None:
    """The rows as COPY's text format; None where a constant is not written as its column's kind is.

    ``kinds``: of each column ``integer``, ``number``, ``boolean`` or, for what only strings are written for, ``text``.
    """
    columns = []
    for cells, kind in zip(given.cells, kinds, strict=True):
        made = _column(cells, kind)
        if made is None:
            return None
        columns.append(made)
    lines = ["\t".join(row) for row in zip(*columns, strict=True)]
    try:
        return ("\n".join(lines) + "\n").encode()
    except UnicodeEncodeError:
        return None


def _column(cells: Sequence[str], kind: str) -> list[str] | None:
    made = []
    for cell in cells:
        if cell[0] == "'":
            value = cell[1:-1].replace("''", "'") if "''" in cell else cell[1:-1]
            made.append(value.translate(_SPECIAL) if not value.isalnum() else value)
        elif (word := _WORDS.get(cell.upper())) is not None:
            if word != _NULL and kind != "boolean":
                return None
            made.append(word)
        elif kind == "number" or (kind == "integer" and _WHOLE.fullmatch(cell)):
            made.append(cell)
        else:
            return None
    return made


def _folded(names: str) -> tuple[str, ...] | None:
    """Names as Postgres reads them; None if one is a word that cannot be a name without quotes."""
    found = []
    for name in _NAMES.findall(names):
        if name[0] == '"':
            found.append(truncate(name[1:-1].replace('""', '"')))
        elif name.lower() in RESERVED:
            return None
        else:
            found.append(fold(name))
    return tuple(found)
