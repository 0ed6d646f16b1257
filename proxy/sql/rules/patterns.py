"""Regular expressions as constants, respelled for RE2: letters beyond ASCII and newlines are what they are to Postgres.

To RE2 ``\\w`` and ``[[:alpha:]]`` are ASCII, and ``.`` stops at a newline. A group that took no part in a match is NULL
in Postgres and ``''`` to the engine: where the group cannot match nothing, the one is made of the other.
"""

from __future__ import annotations

import re

from sqlglot import exp

from branching.errors import BoughError
from proxy.sql.array_text import parse_array
from proxy.sql.macros import call, function

Args = list[exp.Expr]

# at which place a function takes its pattern, and its flags
_PLACES = {
    "regexp_replace": (1, 3), "regexp_match": (1, 2), "regexp_matches": (1, 2), "regexp_count": (1, 3),
    "regexp_like": (1, 2), "regexp_split_to_array": (1, 2), "regexp_split_to_table": (1, 2),
}  # fmt: skip
_CLASSES = {"alpha": r"\pL", "alnum": r"\pL\pN", "upper": r"\p{Lu}", "lower": r"\p{Ll}"}
_WORD = r"\pL\pN_"
_PART = re.compile(r"\[:(\w+):\]|\\.|.", re.DOTALL)


def patterns(tree: exp.Expr) -> exp.Expr:
    """
    >>> from proxy.sql.dialect import read_postgres
    >>> patterns(read_postgres(r"SELECT a ~ '^\\w+$'")).sql("postgres")
    "SELECT a ~ '^[\\\\pL\\\\pN_]+$'"
    """
    for matched_ in list(tree.find_all(exp.Like, exp.ILike, exp.RegexpLike, exp.RegexpILike)):
        _each(matched_)
    for node in tree.find_all(exp.RegexpLike, exp.RegexpILike, exp.Substring, exp.Anonymous):
        if isinstance(node, (exp.RegexpLike, exp.RegexpILike)):
            _respell(node.expression, None)
        elif isinstance(node, exp.Substring):
            _respell(node.args.get("start"), None)
        elif (places := _PLACES.get(node.name.lower())) is not None and len(node.expressions) > places[0]:
            flags = node.expressions[places[1]] if len(node.expressions) > places[1] else None
            _respell(node.expressions[places[0]], flags)
            if node.name.lower() == "regexp_replace" and len(node.expressions) > 2:
                _replacement(node.expressions[2])
    return tree


def _each(node: exp.Expr) -> None:
    """``x LIKE ANY (ARRAY['a%', 'b%'])``, which the engine lacks, pattern by pattern."""
    given = node.expression
    is_all = isinstance(given, exp.Anonymous) and given.name.lower() == "all"
    if not is_all and not isinstance(given, (exp.Any, exp.All)):
        return
    listed = (given.expressions[0] if is_all else given.this).unnest()
    if isinstance(listed, exp.Cast):
        listed = listed.this.unnest()
    if isinstance(listed, exp.Literal):
        listed = parse_array(listed.name)
    is_regular = isinstance(node, (exp.RegexpLike, exp.RegexpILike))
    if not isinstance(listed, exp.Array) or not listed.expressions:
        if is_regular:
            raise BoughError(
                "0A000",
                "a regular expression with ANY or ALL takes a constant array",
                hint="Write the patterns as ARRAY['…', '…'], or EXISTS (SELECT FROM unnest(…) AS p WHERE text ~ p).",
            )
        return
    if is_regular and isinstance(node.parent, exp.Not):
        # it may stand for one operator, or for NOT before the whole: the tree is the same
        raise BoughError(
            "0A000",
            "!~ with ANY or ALL is not supported",
            hint="NOT (text ~ ANY (…)) is text !~ ALL (…), with the parentheses.",
        )
    each = []
    for pattern in listed.expressions:
        one = node.copy()
        one.set("expression", pattern.copy())
        each.append(one)
    join = exp.or_ if isinstance(given, exp.Any) else exp.and_
    node.replace(exp.paren(join(*each, copy=False, dialect="duckdb"), copy=False))


def _respell(pattern: exp.Expr | None, flags: exp.Expr | None) -> None:
    if pattern is None or not _is_text(pattern) or not (flags is None or _is_text(flags)):
        return
    letters = "" if flags is None else flags.name
    pattern.set("this", respelled(pattern.name, by_lines=bool(set(letters) & {"n", "m"})))
    if flags is not None and set(letters) <= set("gicnms"):
        flags.set("this", "".join(letter for letter in letters if letter in "gic"))


def _replacement(text: exp.Expr) -> None:
    """``\\&`` is the whole match; a backslash before another letter is one."""
    if _is_text(text):
        kept = {"&": r"\0", "\\": r"\\"}
        text.set(
            "this",
            re.sub(
                r"\\(.|\Z)",
                lambda found: (
                    found[0] if found[1] in set("123456789") - {""} else kept.get(found[1], r"\\" + found[1])
                ),
                text.name,
                flags=re.DOTALL,
            ),
        )


def _is_text(node: exp.Expr | None) -> bool:
    return isinstance(node, exp.Literal) and node.is_string


def respelled(pattern: str, *, by_lines: bool = False) -> str:
    r"""
    >>> respelled(r"a.\w[[:upper:]_]")
    '(?s)a.[\\pL\\pN_][\\p{Lu}_]'
    """
    out: list[str] = []
    inside = dot = False
    at = 0
    while at < len(pattern):
        found = _PART.match(pattern, at)
        assert found is not None
        part, at = found[0], found.end()
        if found[1]:
            # elsewhere [:alpha:] is a set of letters and colons
            out.append(_CLASSES.get(found[1], part) if inside else part)
        elif part in (r"\w", r"\W"):
            word = _WORD if inside else f"[{_WORD}]" if part == r"\w" else f"[^{_WORD}]"
            out.append(part if inside and part == r"\W" else word)
        elif part == r"\Z":
            out.append(r"\z")
        elif part == "[" and not inside:
            inside = True
            # a bracket right behind is one of the set
            first = re.match(r"\^?\]?", pattern[at:])
            out.append(part + (first[0] if first else ""))
            at += len(first[0]) if first else 0
        elif part == "]" and inside:
            inside = False
            out.append(part)
        else:
            dot = dot or (part == "." and not inside)
            out.append(part)
    prefix = "(?m)" if by_lines else "(?s)" if dot else ""
    return prefix + "".join(out)


def groups(pattern: str) -> list[bool]:
    """For each group of a pattern that is remembered, whether it can match nothing."""
    found: list[bool] = []
    open_: list[tuple[int, int | None]] = []
    at = 0
    while at < len(pattern):
        if pattern[at] == "\\":
            at += 2
            continue
        if pattern[at] == "[":
            end = re.compile(r"\[\^?\]?(?:\\.|\[:\w+:\]|[^\]\\])*\]", re.DOTALL).match(pattern, at)
            at = end.end() if end else at + 1
            continue
        if pattern[at] == "(":
            remembered = pattern[at + 1 : at + 2] != "?"
            open_.append((at + 1, len(found) if remembered else None))
            found += [True] if remembered else []
        elif pattern[at] == ")" and open_:
            start, number = open_.pop()
            if number is not None:
                found[number] = _can_be_empty(pattern[start:at])
        at += 1
    return found


def _can_be_empty(body: str) -> bool:
    plain = re.sub(r"\[:\w+:\]", "a", re.sub(r"\\p\{\w+\}|\\p[A-Z]", "a", body))
    try:
        return re.fullmatch(plain, "") is not None
    except re.error:
        return True


def _no_blank(value: exp.Expr, can_be_empty: bool) -> exp.Expr:
    return value if can_be_empty else exp.Nullif(this=value, expression=exp.Literal.string(""))


def matched(a: Args) -> exp.Expr:
    """``regexp_match``: a pattern with several groups gives them all; a macro can give the first only."""
    pattern = a[1] if len(a) > 1 else None
    known = groups(pattern.name) if isinstance(pattern, exp.Literal) else None
    if len(a) == 2 and known is None:
        return call("regexp_match", *a)
    value, options = a[0], a[2:]
    found = [
        _no_blank(_extracted("regexp_extract", value, a[1], number, options), can_be_empty)
        for number, can_be_empty in (enumerate(known, 1) if known else [(0, True)])
    ]
    matches = function("regexp_matches", value.copy(), a[1].copy(), *[option.copy() for option in options])
    return exp.Case(ifs=[exp.If(this=matches, true=exp.Array(expressions=found))])


def _extracted(name: str, value: exp.Expr, pattern: exp.Expr, number: int, options: Args) -> exp.Expr:
    numbered = exp.Literal.number(number)
    return function(name, value.copy(), pattern.copy(), numbered, *[option.copy() for option in options])


def all_matched(a: Args) -> exp.Expr:
    """``regexp_matches``: a row for the first match, or with the flag ``g`` for each."""
    flags = a[2].name if len(a) > 2 and isinstance(a[2], exp.Literal) else ""
    options: Args = [exp.Literal.string(rest)] if (rest := flags.replace("g", "")) else []
    if "g" not in flags:
        rows: exp.Expr = call("one_row", matched([a[0], a[1], *options]))
    else:
        known = groups(a[1].name) if isinstance(a[1], exp.Literal) else []
        lists = []
        for number, can_be_empty in enumerate(known, 1) if known else [(0, True)]:
            every = _extracted("regexp_extract_all", a[0], a[1], number, options)
            lists.append(every if can_be_empty else call("blanks_null", every))
        rows = call("rows_of", *lists) if len(lists) < 5 else call("rows_of", *lists[:4])
    made = exp.Explode(this=rows)
    made.meta["called"] = "regexp_matches"
    return made


def similar(value: exp.Expr, pattern: str, escape: str = "\\") -> exp.Expr:
    """``value SIMILAR TO pattern``, the pattern a constant."""
    out: list[str] = []
    inside = False
    at = 0
    while at < len(pattern):
        letter = pattern[at]
        at += 1
        if letter == escape and at < len(pattern):
            out.append(re.escape(pattern[at]))
            at += 1
        elif inside:
            inside = letter != "]"
            out.append("\\\\" if letter == "\\" else letter)
        elif letter == "[":
            inside = True
            out.append(letter)
        else:
            out.append(_SIMILAR.get(letter, letter))
    return function("regexp_full_match", value, exp.Literal.string(f"(?s)(?:{''.join(out)})"))


_SIMILAR = {"%": ".*", "_": ".", ".": r"\.", "^": r"\^", "$": r"\$", "\\": r"\\", "(": "(?:"}
