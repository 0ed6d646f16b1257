"""Executable comments of MySQL and MariaDB: text that other engines skip and these two run.

``/*! … */`` is run by both, ``/*!80013 … */`` by a server of that version or a newer one, ``/*M! … */`` by MariaDB
alone. MariaDB skips those of a version from 5.7 to 9.99.99: they mean what only MySQL has (MySQL's manual 11.7;
MariaDB's page on comments).
"""

from __future__ import annotations

import re

from migration.errors import MigrationError

_PIECES = re.compile(
    r"""(?P<literal>'(?:[^'\\]|\\.|'')*'|"(?:[^"\\]|\\.|"")*"|`[^`]*`)
    |(?P<line>\#[^\n]*|--(?=\s|\Z)[^\n]*)
    |(?P<open>/\*(?P<maria>M?)!(?P<version>\d{5,6})?)
    |(?P<plain>/\*.*?(?:\*/|\Z))
    |(?P<close>\*/)""",
    re.VERBOSE | re.DOTALL,
)
_NOT_MARIADBS = range(50700, 100000)


def uncovered(text: str, version: str | None, *, mariadb: bool) -> str:
    """The text as the server reads it: the marks around what it runs are blanks, so every place stays where it is.
    42601 where such a comment is never closed."""
    found: list[str] = []
    place, is_open, at = 0, False, 0
    while (piece := _PIECES.search(text, at)) is not None:
        at = piece.end()
        shown = False
        if piece["open"] is not None:
            shown = _is_run(piece["version"], version, only=bool(piece["maria"]), mariadb=mariadb)
            if not shown:
                end = text.find("*/", at)
                at = len(text) if end < 0 else end + 2
            is_open = is_open or shown
        elif piece["close"] is not None and is_open:
            shown, is_open = True, False
        if shown:
            found += [text[place : piece.start()], " " * len(piece[0])]
            place = piece.end()
    if is_open:
        raise MigrationError("42601", "a comment is never closed", hint="Write its */.")
    return "".join([*found, text[place:]])


def _is_run(wanted: str | None, version: str | None, *, only: bool, mariadb: bool) -> bool:
    if only and not mariadb:
        return False
    if wanted is None:
        return True
    if mariadb and not only and int(wanted) in _NOT_MARIADBS:
        return False
    return version is None or int(wanted) <= _number(version)


def _number(version: str) -> int:
    """``8.0.36`` as 80036; a part that is not said is the greatest."""
    parts = [int(part) for part in re.findall(r"\d+", version)[:3]]
    major, minor, patch = (*parts, *(99,) * (3 - len(parts)))
    return major * 10000 + minor * 100 + patch
