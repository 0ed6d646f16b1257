"""What the character sets of MySQL's columns and PostgreSQL's databases hold, as far as it is not all of Unicode.

Rules:

1. Only sets that were compared with MariaDB's, character by character, are known here: ``utf8mb3`` and ``ucs2``, which
   end at U+FFFF, ``gbk``, and those of one byte for which Python has the same table, or nearly. Of any other, only
   MySQL itself knows.
2. A source is asked by a regular expression of the characters that the set lacks.
"""

from __future__ import annotations

from functools import cache

from migration.dialects import contract
from migration.dialects.quoting import quote_text

_WHOLE = ("utf8mb4", "utf16", "utf16le", "utf32", "gb18030", "binary")
_PLANE = ("utf8", "utf8mb3", "ucs2")
_CODECS = {
    "ascii": "ascii",
    "cp1250": "cp1250",
    "cp1251": "cp1251",
    "cp1256": "cp1256",
    "cp1257": "cp1257",
    "cp850": "cp850",
    "cp852": "cp852",
    "cp866": "cp866",
    "gbk": "gbk",
    "greek": "iso8859_7",
    "hebrew": "iso8859_8",
    "hp8": "hp_roman8",
    "koi8r": "koi8_r",
    "koi8u": "koi8_u",
    "latin1": "cp1252",
    "latin2": "iso8859_2",
    "latin5": "iso8859_9",
    "latin7": "iso8859_13",
    "macce": "mac_latin2",
    "macroman": "mac_roman",
    "tis620": "tis_620",
}
# PostgreSQL's names, which are upper-case: its LATIN1 is another set than MySQL's latin1.
_DATABASES = {
    **{
        f"LATIN{number}": f"iso8859_{part}"
        for number, part in enumerate((1, 2, 3, 4, 9, 10, 13, 14, 15, 16), 1)
    },
    **{f"ISO_8859_{part}": f"iso8859_{part}" for part in (5, 6, 7, 8)},
    **{f"WIN{page}": f"cp{page}" for page in (866, 874, *range(1250, 1259))},
    "KOI8R": "koi8_r",
    "KOI8U": "koi8_u",
}
# What MariaDB's set has besides, such as five bytes that cp1252 leaves undefined, and what it has not.
_MORE = {
    "latin1": "\x81\x8d\x8f\x90\x9d",
    "greek": "\u02bc\u02bd",
    "hebrew": "\u203e",
    "koi8u": "\u2022",
    "cp866": "\u00b2\u207f",
    "tis620": "\ufffd",
}
_LESS = {
    "cp1256": "\u0679\u0688\u0691\u06a9\u06ba\u06be\u06c1\u06d2",
    "greek": "\u037a\u2018\u2019\u20ac\u20af",
    "hebrew": "\u00af",
    "koi8u": "\u2219",
    "cp866": "\u00a4\u2116",
}


def holds_all(charset: str) -> bool:
    """Whether a set holds every character there is."""
    return charset in _WHOLE


def is_known(charset: str) -> bool:
    """Whether a set is known not to hold all of Unicode."""
    return ranges(charset) is not None


@cache
def ranges(charset: str) -> tuple[tuple[int, int], ...] | None:
    """The characters that a set holds, from and to; None of one that is not known.

    >>> ranges("ascii")
    ((0, 127),)
    """
    if charset in _PLANE:
        return ((0, 0xFFFF),)
    codec = _CODECS.get(charset) or _DATABASES.get(charset)
    if codec is None:
        return None
    if charset == "gbk":  # of up to two bytes
        text = "".join(map(chr, range(0x10000))).encode(codec, errors="ignore").decode(codec)
    else:
        text = bytes(range(256)).decode(codec, errors="ignore")
    codes = (set(text) | set(_MORE.get(charset, ""))) - set(_LESS.get(charset, ""))
    found: list[tuple[int, int]] = []
    for code in sorted(map(ord, codes)):
        if found and found[-1][1] == code - 1:
            found[-1] = (found[-1][0], code)
        else:
            found.append((code, code))
    return tuple(found)


def lacking(charset: str, text: str, dialect: str) -> str | None:
    """SQL that is true where ``text`` has a character that ``charset`` lacks; None: not in SQL."""
    if dialect == "mysql" and charset not in _DATABASES:
        there = f"CONVERT({text} USING utf8mb4)"
        back = f"CONVERT(CONVERT({there} USING {charset}) USING utf8mb4)"
        return f"CAST({back} AS BINARY) <> CAST({there} AS BINARY)"
    known = ranges(charset)
    if known is None or dialect == "mysql":
        return None
    if dialect == "duckdb":
        others = "".join(f"\\x{{{low:x}}}-\\x{{{high:x}}}" for low, high in known)
        return f"(strlen({text}) > length({text}) AND regexp_matches({text}, '[^{others}]'))"
    # No text there has a NUL. In a database of another encoding, its own numbers would stand for the characters.
    others = "".join(f"{_escape(max(low, 1))}-{_escape(high)}" for low, high in known)
    pattern = quote_text(f"[^{others}]", contract("postgres"))
    return (
        f"(octet_length({text}) > length({text}) AND getdatabaseencoding() = 'UTF8' "
        f'AND ({text} COLLATE "C") ~ {pattern})'
    )


def _escape(code: int) -> str:
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
