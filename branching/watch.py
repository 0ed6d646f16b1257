"""What a statement reads, and what of that may be another the next time it is run.

A ``Scope`` tells its ``Watch`` while it puts storage in the place of names. Rules:

1. ``seen`` holds every table that was named, through views, macros and foreign keys too: whoever has read nothing else
   would have read the same of any later state in which these tables are as they were.
2. The time of day is the transaction's. Where it must stay that although the engine's transaction is another by now,
   ``instant`` takes its place in the text.
3. ``drawn``: what a view calls gives something else each time. ``unordered``: which rows it takes, or in which order it
   adds them up, is the engine's choice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlglot import exp

from branching.lines import Line
from branching.names import literal

_TIMES = {
    "now": "TIMESTAMPTZ", "transaction_timestamp": "TIMESTAMPTZ", "get_current_timestamp": "TIMESTAMPTZ",
    "current_timestamp": "TIMESTAMPTZ", "current_date": "DATE", "today": "DATE", "current_localtimestamp": "TIMESTAMP",
    "localtimestamp": "TIMESTAMP", "current_localtime": "TIME", "localtime": "TIME", "get_current_time": "TIMETZ",
    "current_time": "TIMETZ",
}  # fmt: skip
_NODES: dict[type[exp.Expr], str] = {
    exp.CurrentTimestamp: "TIMESTAMPTZ",
    exp.CurrentDate: "DATE",
    exp.Localtimestamp: "TIMESTAMP",
    exp.CurrentDatetime: "TIMESTAMP",
    exp.Localtime: "TIME",
    exp.CurrentTime: "TIMETZ",
}
_DRAWN = """
    random setseed uuid gen_random_uuid uuidv4 uuidv7 nextval setval currval txid_current current_transaction_id
    current_query current_query_id current_connection_id sleep_ms write_log stats
    read_csv read_csv_auto read_parquet parquet_scan read_json read_json_auto read_json_objects read_json_objects_auto
    read_ndjson read_ndjson_auto read_ndjson_objects read_text read_blob glob sniff_csv
    """  # a file may hold something else by then
_DRAWS = frozenset(_DRAWN.split())
_STEADY = (exp.Count, exp.Min, exp.Max, exp.LogicalAnd, exp.LogicalOr)


@dataclass(frozen=True, slots=True)
class Plain:
    """The text reads this base as it is, for this line."""

    line: Line
    base: int


@dataclass(frozen=True, slots=True)
class Untouched:
    """The text takes this table as never touched by this line."""

    line: Line
    table: int


Look = tuple[int, object]  # of a line: the number of its catalog's changes, and its fork


@dataclass(slots=True)
class Watch:
    """What one statement, or all of a transaction, has read."""

    seen: set[tuple[Line, int]] = field(default_factory=set)  # tables by their ids
    lines: dict[Line, Look] = field(default_factory=dict)  # as they were when first seen
    instant: Callable[[], str] | None = None
    drawn: bool = False
    unordered: bool = False

    def see(self, line: Line, table: int) -> None:
        """The table's rows on this line are read."""
        self.seen.add((line, table))
        if line not in self.lines:
            self.lines[line] = (line.seq, line.record.fork)

    def add(self, other: Watch) -> None:
        """What another has seen, too."""
        self.seen |= other.seen
        for line, look in other.lines.items():
            self.lines.setdefault(line, look)

    def look(self, tree: exp.Expr, *, nested: bool) -> exp.Expr:
        """``tree``, changed in place, with the time put in. ``nested``: of a view, whose calls nobody else looks at."""
        if nested and next(draws(tree), None) is not None:
            self.drawn = True
        if nested and is_unordered(tree):
            self.unordered = True
        if self.instant is None:
            return tree
        for node in list(tree.find_all(exp.Func)):
            kind = _time(node)
            if kind is None:
                continue
            there = at(self.instant(), kind)
            if node is tree:
                tree = there
            else:
                node.replace(there)
        return tree


def at(instant: str, kind: str) -> exp.Expr:
    """A time function's value at an instant, which is text."""
    value = f"CAST({literal(instant)} AS TIMESTAMPTZ)"
    if kind == "TIME":
        value = f"CAST({value} AS TIMESTAMP)"
    return exp.Var(this=value if kind == "TIMESTAMPTZ" else f"CAST({value} AS {kind})")


def _name(node: exp.Func) -> str:
    return (node.name if isinstance(node, exp.Anonymous) else node.sql_name()).lower()


def _time(node: exp.Expr) -> str | None:
    if (kind := _NODES.get(type(node))) is not None:
        return kind
    return _TIMES.get(node.name.lower()) if isinstance(node, exp.Anonymous) else None


def draws(*nodes: exp.Expr | None) -> Iterator[exp.Func]:
    """Calls that give something else each time."""
    for node in nodes:
        if node is None:
            continue
        for call in node.find_all(exp.Func):
            name = _name(call)
            if name in _DRAWS or isinstance(call, exp.Rand | exp.Uuid) or _is_age_of_now(call, name):
                yield call


def _is_age_of_now(call: exp.Func, name: str) -> bool:
    return name == "age" and len(list(call.iter_expressions())) == 1


def tells_time(node: exp.Expr) -> bool:
    """Whether it asks for the time of day."""
    return any(_time(call) is not None for call in node.find_all(exp.Func))


def is_unordered(tree: exp.Expr) -> bool:
    """Whether the rows it takes, or the order in which it adds them up, are the engine's choice."""
    kinds = (
        exp.Limit,
        exp.Fetch,
        exp.Offset,
        exp.Window,
        exp.TableSample,
        exp.Pivot,
        exp.Distinct,
        exp.AggFunc,
    )
    for node in tree.find_all(*kinds):
        if isinstance(node, _STEADY):
            continue
        if isinstance(node, exp.Distinct) and not node.args.get("on"):
            continue
        return True
    called = {call.name.lower() for call in tree.find_all(exp.Anonymous)}
    return bool(called & _ORDERED) or (isinstance(tree, exp.Update) and tree.args.get("from_") is not None)


_ORDERED = frozenset(
    {"list", "array_agg", "string_agg", "first", "last", "any_value", "arbitrary", "arg_min", "arg_max", "mode",
     "sum", "avg", "json_group_array", "json_group_object", "histogram", "product", "fsum", "favg"}
)  # fmt: skip
