"""Postgres' text form of arrays, ``{1,NULL,"a b"}``, read into a list tree."""

from __future__ import annotations

from sqlglot import exp

from branching.errors import BoughError


def parse_array(text: str) -> exp.Array:
    """
    >>> parse_array('{1,NULL,"a,b",{2}}').sql("duckdb")
    "['1', NULL, 'a,b', ['2']]"
    """
    array, at = _array(text, _blank(text, 0))
    if _blank(text, at) != len(text):
        raise _malformed(text)
    return array


def _malformed(text: str) -> BoughError:
    return BoughError("22P02", f'malformed array literal: "{text}"')


def _blank(text: str, at: int) -> int:
    while at < len(text) and text[at].isspace():
        at += 1
    return at


def _array(text: str, at: int) -> tuple[exp.Array, int]:
    if text[at : at + 1] != "{":
        raise _malformed(text)
    items: list[exp.Expr] = []
    at = _blank(text, at + 1)
    while text[at : at + 1] != "}":
        item, at = _item(text, at)
        items.append(item)
        at = _blank(text, at)
        if text[at : at + 1] == ",":
            at = _blank(text, at + 1)
            if text[at : at + 1] == "}":
                raise _malformed(text)
        elif text[at : at + 1] != "}":
            raise _malformed(text)
    return exp.Array(expressions=items), at + 1


def _item(text: str, at: int) -> tuple[exp.Expr, int]:
    if text[at : at + 1] == "{":
        return _array(text, at)
    quoted = text[at : at + 1] == '"'
    at += quoted
    out: list[str] = []
    while True:
        char = text[at : at + 1]
        if not char:
            raise _malformed(text)
        if char == "\\":
            out.append(text[at + 1 : at + 2])
            at += 2
        elif quoted and char == '"':
            return exp.Literal.string("".join(out)), at + 1
        elif not quoted and char in ",}":
            word = "".join(out).rstrip()
            if not word:
                raise _malformed(text)
            return (exp.Null() if word.lower() == "null" else exp.Literal.string(word)), at
        else:
            out.append(char)
            at += 1
