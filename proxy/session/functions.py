"""Calls that the session answers itself: branch commands as functions, ``set_config``, ``pg_cancel_backend`` …

They are found in the statement's tree, their constant arguments evaluated, and their answer put in their place; what is
left is an ordinary query.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.diff import rows as diff_rows
from branching.errors import BoughError
from proxy.commands import FUNCTIONS, Command, from_function
from proxy.commands.branch import ShadowQuery
from proxy.commands.functions import KINDS, STAND_INS, function_columns
from proxy.commands.remote import CallTool
from proxy.commands.results import Columns as ResultColumns
from proxy.commands.results import ResultColumn
from proxy.session import shadow, views
from proxy.session.outcome import Outcome
from proxy.session.scratch import Scratch

if TYPE_CHECKING:
    from proxy.session.session import Session

_BACKEND = frozenset({"pg_cancel_backend", "pg_terminate_backend"})
_NOTHING = {
    "pg_advisory_unlock_all": "",
    "pg_advisory_lock": "",
    "pg_advisory_xact_lock": "",
    "pg_notify": "",
}
_TRUE = frozenset({"pg_try_advisory_lock", "pg_advisory_unlock", "pg_try_advisory_xact_lock"})
SHOWN = "bough_shown"  # meta of a subquery: the columns it has, where they are those of a table's rows
SESSION_CALLS = frozenset({"set_config", *_BACKEND, *_NOTHING, *_TRUE, "current_branch"})


def called(node: exp.Expr) -> str:
    """The lower-case name of a function call, with its schema if it is ours."""
    inner = node.this if isinstance(node, exp.Table) else node
    if not isinstance(inner, exp.Anonymous):
        return ""
    name = inner.name.lower()
    schema = node.text("db").lower() if isinstance(node, exp.Table) else ""
    if isinstance(inner.parent, exp.Dot) and inner.arg_key == "expression":
        schema = inner.parent.this.name.lower()
    return f"{schema}.{name}" if schema == "bough" else name


def commands_in(tree: exp.Expr) -> list[exp.Expr]:
    """The calls of branch commands in a statement."""
    found: list[exp.Expr] = []
    for node in tree.find_all(exp.Anonymous):
        holder: exp.Expr = node.parent if isinstance(node.parent, exp.Table) else node
        if called(holder) in FUNCTIONS:
            found.append(holder)
    return found


def run_commands(
    session: Session, tree: exp.Expr, parameters: Sequence[Any], execute: Callable[[exp.Expr], Outcome]
) -> Outcome:
    """``execute``'s outcome of ``tree`` with the commands called in it run, and their rows in their place."""
    tree = tree.copy()
    scratch = Scratch(session.service.database, session.setting("TimeZone") or "UTC")
    try:
        for number, node in enumerate(commands_in(tree)):
            _substitute(session, node, parameters, scratch, number)
        connection = session.connection
        assert connection is not None
        if connection.transaction is not None and not connection.has_written:
            connection.restart()
        return scratch.closing(execute(tree))
    except BaseException:
        scratch.close()
        raise


def _substitute(
    session: Session, node: exp.Expr, parameters: Sequence[Any], scratch: Scratch, number: int
) -> None:
    call = node.this if isinstance(node, exp.Table) else node
    positional, named = arguments(call, parameters)
    command = from_function(called(node), positional, named)
    session.allow(command)
    wanted = session.commands.changed_rows(command)
    if wanted is not None and isinstance(node, exp.Table):
        place = f"{scratch.name}.main.rows_{number}"
        shown = diff_rows.store(session.service.database, wanted, place)
        views.replace(node, f"SELECT * FROM {place}").meta[SHOWN] = shown
        return
    outcome = session.commands.run(command)
    rows = outcome.take(0)
    columns = function_columns(command)
    if columns is None:
        columns = data_columns(session, command, outcome)
    if not command.returns_rows:
        rows = [(outcome.tag(0),)]
    if isinstance(node, exp.Table):
        views.replace(node, views.values_sql(columns, rows))
    else:
        value = rows[0][0] if rows and not command.returns_rows else as_json(columns, rows)
        holder = node.parent if isinstance(node.parent, exp.Dot) else node
        holder.replace(exp.Var(this=f"CAST({views.constant(value)} AS {value_kind(node)})"))


def value_kind(node: exp.Expr) -> str:
    """The type of a command that is called as a value: of a data tool JSON, which drivers read; of others its text."""
    return "JSON" if FUNCTIONS[called(node)].command is CallTool else "VARCHAR"


def as_json(columns: ResultColumns, rows: Sequence[Sequence[Any]]) -> str:
    """The rows of a command that is called as a value."""
    found = [
        {
            name: json.loads(value) if kind == "JSON" and isinstance(value, str) else value
            for (name, kind), value in zip(columns, row, strict=True)
        }
        for row in rows
    ]
    return json.dumps(found, ensure_ascii=False, default=str)


def data_columns(session: Session, command: Command, outcome: Outcome | None = None) -> ResultColumns:
    """The columns of a command whose data tells them. A shadow query need not run for that; any other must."""
    if isinstance(command, ShadowQuery):
        found = shadow.engine_columns(session, command)
        return tuple(ResultColumn(column.name, column.type) for column in found)
    made = outcome or session.commands.run(command)
    if outcome is None:
        made.close()
    if made.engine is not None:
        return tuple(ResultColumn(column.name, column.type) for column in made.engine)
    return tuple(ResultColumn(name, "VARCHAR") for name, _ in made.columns or ())


def arguments(call: exp.Expr, parameters: Sequence[Any]) -> tuple[list[Any], dict[str, Any]]:
    """A call's arguments as Python values."""
    positional: list[Any] = []
    named: dict[str, Any] = {}
    for item in call.expressions:
        if isinstance(item, exp.Kwarg | exp.PropertyEQ | exp.EQ) and isinstance(
            item.this, exp.Identifier | exp.Var | exp.Column
        ):
            named[item.this.name] = evaluate(item.expression, parameters)
        else:
            positional.append(evaluate(item, parameters))
    return positional, named


def parameters_of(node: exp.Expr) -> dict[int, tuple[str, bool]]:
    """Which parameter of the called command each ``$n`` is given to, and whether as an element of an array."""
    call = node.this if isinstance(node, exp.Table) else node
    form, found = FUNCTIONS[called(node)], dict[int, tuple[str, bool]]()
    for place, item in enumerate(call.expressions):
        key: int | str = place
        if isinstance(item, exp.Kwarg | exp.PropertyEQ | exp.EQ):
            key, item = item.this.name, item.expression
        if (name := form.parameter(key)) is not None:
            for parameter in item.find_all(exp.Parameter, exp.Placeholder):
                found[int(parameter.name)] = name, parameter is not item and item.find(exp.Array) is not None
    return found


def parameter_kinds(tree: exp.Expr) -> dict[int, str]:
    """The types of ``$n`` that commands called in a statement are given."""
    return {
        number: "VARCHAR" if element else KINDS.get(name, "VARCHAR")
        for node in commands_in(tree)
        for number, (name, element) in parameters_of(node).items()
    }


def stand_ins(node: exp.Expr, here: str) -> list[Any]:
    """Values that the called command would take for each ``$n``, of which none is known yet."""
    places = parameters_of(node)
    found: list[Any] = [None] * max(places, default=0)
    for number, (name, element) in places.items():
        found[number - 1] = f"any{number}" if element or name == "table" else STAND_INS.get(name, here)
    return found


def with_fractions(tree: exp.Expr, values: Sequence[Any]) -> list[Any]:
    """``values`` for a description: a number for a percentile that is a parameter, since the engine takes no NULL."""
    found = list(values)
    for node in tree.find_all(exp.Anonymous):
        if node.name not in ("quantile_cont", "quantile_disc") or not isinstance(
            node.expressions[-1], exp.Order
        ):
            continue
        fraction = node.expressions[-1].this
        is_list = isinstance(fraction, exp.Cast) and fraction.to.this in (exp.DType.ARRAY, exp.DType.LIST)
        for place in fraction.find_all(exp.Placeholder):
            found[int(place.name) - 1] = [0.5] if is_list else 0.5
    return found


def evaluate(node: exp.Expr, parameters: Sequence[Any]) -> Any:
    """The value of a constant."""
    if isinstance(node, exp.Cast | exp.TryCast | exp.Paren):
        return evaluate(node.this, parameters)
    if isinstance(node, exp.Literal):
        if node.is_string:
            return node.name
        return int(node.name) if node.name.isdigit() else float(node.name)
    if isinstance(node, exp.Boolean):
        return bool(node.this)
    if isinstance(node, exp.Null):
        return None
    if isinstance(node, exp.Neg):
        return -evaluate(node.this, parameters)
    if isinstance(node, exp.Array | exp.Tuple):
        return [evaluate(item, parameters) for item in node.expressions]
    if isinstance(node, exp.Placeholder):
        return parameters[int(node.name) - 1]
    raise BoughError(
        "0A000",
        "an argument of this function must be a constant",
        detail=f"It is {node.sql('duckdb')}.",
        hint="Write a literal or a parameter.",
    )


def session_calls(tree: exp.Expr) -> list[exp.Anonymous]:
    return [node for node in tree.find_all(exp.Anonymous) if node.name.lower() in SESSION_CALLS]


def substitute_session_calls(session: Session, tree: exp.Expr, parameters: Sequence[Any]) -> exp.Expr:
    """Answers ``set_config`` and its like, in place."""
    for node in session_calls(tree):
        name = node.name.lower()
        positional, _ = arguments(node, parameters)
        if name == "set_config":
            if len(positional) != 3 or positional[0] is None:
                raise BoughError(
                    "42883",
                    "set_config(text, text, boolean) takes three arguments",
                    detail=f"It was given {len(positional)}, or a name that is NULL.",
                    hint="SELECT set_config('branch', 'b', false)",
                )
            made = session.set_variable(
                str(positional[0]), str(positional[1] or ""), local=bool(positional[2])
            )
            value: exp.Expr = exp.Literal.string(made)
        elif name in _BACKEND:
            value = exp.Boolean(this=session.signal(int(positional[0]), terminate=name.startswith("pg_term")))
        elif name in _TRUE:
            value = exp.Boolean(this=True)
        elif name == "current_branch":
            assert session.connection is not None
            value = exp.Literal.string(session.connection.branch)
        else:
            value = exp.Literal.string("")
        node.replace(value)
    return tree


def keep_used(tree: exp.Expr, values: Sequence[Any]) -> list[Any]:
    """The values of the parameters left in ``tree``, which are numbered anew: the engine takes no others."""
    nodes = [node for node in tree.find_all(exp.Placeholder) if node.name.isdigit()]
    numbers = sorted({int(node.name) for node in nodes})
    if len(numbers) < len(values):
        for node in nodes:
            node.set("this", str(numbers.index(int(node.name)) + 1))
    return [values[number - 1] for number in numbers]


def sleep_seconds(tree: exp.Expr) -> exp.Expr | None:
    """The argument of a statement that is nothing but ``SELECT pg_sleep(n)``."""
    if not isinstance(tree, exp.Select) or tree.args.get("from_") is not None or len(tree.expressions) != 1:
        return None
    item = tree.expressions[0].unalias()
    if isinstance(item, exp.Dot):
        item = item.expression
    if isinstance(item, exp.Anonymous) and item.name.lower() == "pg_sleep" and len(item.expressions) == 1:
        argument: exp.Expr = item.expressions[0]
        return argument
    return None


def silent(tree: exp.Expr) -> exp.Expr:
    """``tree`` (which it changes) with session calls replaced by empty answers: for describing."""
    for node in session_calls(tree):
        name = node.name.lower()
        boolean = name in _TRUE or name in _BACKEND
        node.replace(exp.Boolean(this=True) if boolean else exp.Literal.string(""))
    return tree
