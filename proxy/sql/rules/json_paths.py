"""``jsonb_path_query`` and its like with a constant path of members, elements and one comparison at its end.

A path becomes calls of macros on the list of what has been reached: ``$.a[*] ? (@.b > 2)`` is every element of ``a``,
of which those are kept that compare so. As in Postgres' lax mode, members of an array are those of its elements.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.macros import call, function

Args = list[exp.Expr]

_STEP = re.compile(
    r'\s*(?:\.(?P<key>[A-Za-z_]\w*)(?!\s*\()|\."(?P<quoted>[^"\\]+)"|\.(?P<members>\*)|\[\s*(?P<all>\*)\s*\]|\[\s*(?P<at>\d+)\s*\])'
)
_COMPARED = re.compile(
    r'\s*(?P<op>==|!=|<>|<=|>=|<|>)\s*(?:(?P<number>-?\d+(?:\.\d+)?)|"(?P<text>[^"\\]*)"|(?P<word>true|false|null))\s*'
)


def _refused(path: str) -> BoughError:
    return BoughError(
        "0A000",
        f"the path {path!r} is not supported",
        detail="A path has members, elements and at its end one comparison: $.a[*].b ? (@.c > 2).",
        hint="Take members with -> and ->>, and elements with jsonb_array_elements().",
    )


def _reached(a: Args) -> exp.Expr:
    """The list of what a path reaches, without a filter that a variable is in."""
    if len(a) != 2 or not isinstance(a[1], exp.Literal) or not a[1].is_string:
        raise BoughError(
            "0A000", "a path of json is a constant here, without variables", hint="Write it as a literal."
        )
    path = a[1].name
    text = re.sub(r"^\s*(?:lax\s+)?", "", path)
    if not text.startswith("$"):
        raise _refused(path)
    reached, at = _stepped(call("path_start", a[0]), text, 1)
    rest = text[at:].strip()
    if not rest:
        return reached
    condition = re.fullmatch(r"\?\s*\((?P<inner>.*)\)", rest, re.DOTALL)
    inner = condition["inner"].strip() if condition else ""
    if not inner.startswith("@"):
        raise _refused(path)
    keys: list[exp.Expr] = []
    place = 1
    while (found := _STEP.match(inner, place)) and (found["key"] or found["quoted"]):
        keys.append(exp.Literal.string(found["key"] or found["quoted"]))
        place = found.end()
    compared = _COMPARED.fullmatch(inner, place)
    if compared is None or len(keys) > 1:
        raise _refused(path)
    operator = exp.Literal.string(compared["op"].replace("<>", "!="))
    return call("path_where", reached, *keys, operator, _as_json(compared))


def _stepped(reached: exp.Expr, text: str, at: int) -> tuple[exp.Expr, int]:
    while found := _STEP.match(text, at):
        at = found.end()
        if found["all"]:
            reached = call("path_elements", reached)
        elif found["members"]:
            reached = call("path_members", reached)
        elif found["at"] is not None:
            reached = call("path_at", reached, exp.Literal.number(found["at"]))
        else:
            reached = call("path_key", reached, exp.Literal.string(found["key"] or found["quoted"]))
    return reached, at


def _as_json(compared: re.Match[str]) -> exp.Expr:
    text = compared["number"] or compared["word"]
    if text is None:
        return function("to_json", exp.Literal.string(compared["text"]))
    return exp.cast(exp.Literal.string(text), "JSON", dialect="duckdb")


def _query(a: Args) -> exp.Expr:
    made = exp.Explode(this=_reached(a))
    made.meta["called"] = "jsonb_path_query"
    return made


def _array(a: Args) -> exp.Expr:
    return function("to_json", _reached(a))


def _first(a: Args) -> exp.Expr:
    return function("list_extract", _reached(a), exp.Literal.number(1))


def exists(a: Args) -> exp.Expr:
    """``jsonb_path_exists`` and ``@?``."""
    return exp.GT(this=function("len", _reached(a)), expression=exp.Literal.number(0))


PATHS: dict[str, Callable[[Args], exp.Expr]] = {
    "jsonb_path_query": _query,
    "jsonb_path_query_array": _array,
    "jsonb_path_query_first": _first,
    "jsonb_path_exists": exists,
}
