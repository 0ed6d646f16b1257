"""The data tools called over the wire: arguments to ``migration.tools``, results to rows.

Rules:

1. ``local`` is the session's branch, in the client's own dialect; every other name is a datasource.
2. A tool that moves rows is a TRANSFER: journal, progress, cancel and the branch's protection are its own.
3. Lists and objects come as JSON; of a result that is one object, every key is a column.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from sqlglot import exp

from branching.engine.base import ResultColumn
from branching.errors import BoughError
from migration.connectors.base import Connector, Source
from migration.datasources.datasource import LOCAL
from migration.tools import MAX_ROWS, Tools
from migration.transfer import undertaking
from migration.transfer_model import TransferRequest, TransferResult, split_columns
from proxy.commands.remote import CallTool
from proxy.commands.results import DATASOURCES
from proxy.session.local import text as local_text
from proxy.session.local.endpoint import LocalConnector
from proxy.session.outcome import Outcome, table
from proxy.session.remote import rows as remote_rows
from proxy.session.remote import transfers as transfer_commands
from proxy.sql.array_text import parse_array
from proxy.types import from_engine

if TYPE_CHECKING:
    from proxy.session.remote.commands import RemoteCommands

_NUMBERS = frozenset({"batch_size", "limit", "min_rows", "max_rows"})
_FLAGS = frozenset({"dry_run", "validate"})
_TEXTS = frozenset({"query", "source_sql", "ddl"})


def call(commands: RemoteCommands, command: CallTool) -> Outcome:
    """Runs a tool."""
    if command.writes:
        commands.refuse_in_block(command)
    arguments = {name: _plain(name, value) for name, value in command.arguments}
    with commands.opened():
        opened: dict[str, Connector] = {}

        def open_(name: str) -> Connector:
            if name not in opened:
                opened[name] = commands.track(name)
            return opened[name]

        try:
            if command.name == "read_query":
                return _read(commands, open_(str(arguments.get("datasource", LOCAL))), **arguments)
            names = (LOCAL, *(item.name for item in commands.state.datasources))
            tools = Tools(
                open_,
                names,
                commands.state.journal if command.writes else None,
                transfer=lambda request, source, target: _transfer(commands, request, source, target),
                translate=lambda name, text: commands.local_query(text) if name == LOCAL else text,
                listing=lambda: [
                    dict(zip(dict(DATASOURCES), row, strict=True)) for row in commands.listing()
                ],
                database=commands.database_of,
            )
            local = open_(LOCAL) if arguments.get("validate") and _is_local(arguments) else None
            if isinstance(local, LocalConnector):  # checked statements are read in the engine's own dialect
                tree = local.prepared(str(arguments["query"])).tree
                if tree is not None:
                    local_text.refuse_elsewhere(commands.session, tree)
                arguments["query"] = tree.sql("duckdb") if tree is not None else arguments["query"]
            sent = command.name in ("execute_ddl", "execute_write")
            with remote_rows.own_errors() if sent else nullcontext():
                found = getattr(tools, command.name)(**arguments)
        finally:
            for connector in opened.values():
                commands.release(connector)
            commands.state.ended(commands.stop)
    return _rows(command, found)


def _plain(name: str, value: Any) -> Any:
    if name in _NUMBERS:
        try:
            if isinstance(value, bool) or int(value) != (float(value) if isinstance(value, str) else value):
                raise ValueError
            return int(value)
        except (TypeError, ValueError):
            raise BoughError("22023", f'the argument "{name}" is not a whole number: {value!r}') from None
    if name in _FLAGS and not isinstance(value, bool):
        if str(value).lower() not in ("true", "on", "false", "off"):
            raise BoughError("22023", f'the argument "{name}" is true or false, not {value!r}')
        return str(value).lower() in ("true", "on")
    if name == "key":
        return _names(value) if isinstance(value, str) else list(value)
    if name in _TEXTS and not str(value).strip():
        raise BoughError("42601", f'the argument "{name}" is empty', hint="Write one statement.")
    if name not in _FLAGS and value is not None and not isinstance(value, str):
        raise BoughError("22023", f'the argument "{name}" is not a text: {value!r}')
    return value


def _names(text: str) -> Sequence[str]:
    """Columns as they are written in a KEY, or as drivers write a list: ``id, "of, b"`` or ``{id,"of, b"}``."""
    if not text.strip().startswith("{"):
        return split_columns(text)
    items = parse_array(text).expressions
    if not all(isinstance(item, exp.Literal) for item in items):
        raise BoughError("22023", f'the argument "key" is no list of columns: {text!r}')
    return [str(item.this) for item in items]


def _is_local(arguments: Mapping[str, Any]) -> bool:
    return bool(arguments.get("datasource", LOCAL) == LOCAL)


def _transfer(
    commands: RemoteCommands, request: TransferRequest, source: Connector, target: Connector
) -> TransferResult:
    if isinstance(target, LocalConnector):
        target.refuse_writing()
    request = replace(
        request,
        options=transfer_commands.local_options(request.options, request.target_name),
        branch=target.branch if isinstance(target, LocalConnector) else None,
        source_branch=source.branch if isinstance(source, LocalConnector) else None,
        role=commands.session.user,
    )
    return undertaking.undertake(
        request,
        source,
        target,
        journal=commands.state.journal,
        progress=transfer_commands.Teller(commands),
        cancelled=commands.stop.is_set,
    )


def _read(
    commands: RemoteCommands, connector: Connector, query: str, datasource: str = LOCAL, limit: int = MAX_ROWS
) -> Outcome:
    """The rows themselves, with their own types; at most ``limit``."""
    if limit < 1:
        raise BoughError("22023", "limit must be greater than zero", hint=f"The default is {MAX_ROWS}.")
    text = commands.local_query(query) if datasource == LOCAL else query
    cursor = commands.session.service.database.root.cursor()
    cursor.set_time_zone(commands.session.setting("TimeZone") or "UTC")
    with connector.reader() as reader:
        found = remote_rows.outcome(
            cursor, reader, Source(query=text), lambda: None, limit=limit + 1, numbers=True
        )
        rows = found.take(0)
    if len(rows) > limit:
        commands.notice(f"read_query returns {limit} rows and there are more; the argument limit takes more")
        rows = rows[:limit]
    return _fitted(found, rows)


def _fitted(found: Outcome, rows: list[Any]) -> Outcome:
    """Numbers without limits in the type that their values need; those beyond any are texts, all of a column."""
    engine = list(found.engine or ())
    for place, column in enumerate(engine):
        if column.type == "BIGNUM":
            kind = _decimal([row[place] for row in rows if row[place] is not None])
            engine[place] = ResultColumn(column.name, kind)
            if kind == "VARCHAR":
                rows = [(*row[:place], _plain_text(row[place]), *row[place + 1 :]) for row in rows]
    shown = tuple((column.name, from_engine(column.type)) for column in engine)
    batches = iter([rows] if rows else [])
    return replace(found, columns=shown, engine=tuple(engine), batches=batches, sent=0)


def _decimal(values: Sequence[Decimal]) -> str:
    if not all(value.is_finite() for value in values):
        return "VARCHAR"
    scale = max((max(0, -int(value.as_tuple().exponent)) for value in values), default=10)
    whole = max((max(1, value.adjusted() + 1) for value in values), default=28)
    return f"DECIMAL({whole + scale},{scale})" if whole + scale <= 38 else "VARCHAR"


def _plain_text(value: Decimal | None) -> str | None:
    return None if value is None else f"{value:f}"


def _rows(command: CallTool, found: Any) -> Outcome:
    columns: Sequence[tuple[str, str]] | None = command.columns
    items: list[Mapping[str, Any]] = [found] if isinstance(found, Mapping) else list(found)
    if columns is None:
        if not found:  # nothing to choose: a result needs a column
            items = [{"layout": {}}]
        columns = [(name, _type(value)) for name, value in items[0].items()]
    rows = [tuple(_value(item.get(name), kind) for name, kind in columns) for item in items]
    outcome = table(columns, rows, lambda sent: f"SELECT {sent}")
    outcome.engine = tuple(ResultColumn(name, kind) for name, kind in columns)
    return outcome


def _type(value: Any) -> str:
    if isinstance(value, bool):
        return "BOOLEAN"
    if isinstance(value, int):
        return "BIGINT"
    return "JSON" if isinstance(value, list | tuple | dict) else "VARCHAR"


def _value(value: Any, kind: str) -> Any:
    return json.dumps(value, default=str) if kind == "JSON" and value is not None else value
