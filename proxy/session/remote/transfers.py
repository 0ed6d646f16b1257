"""TRANSFER, TRANSFER SCHEMA, EXPLAIN TRANSFER and RESUME TRANSFER: a command to a request, a result to rows.

Rules:

1. The target's first part is its datasource; ``local`` is a branch.
2. A transfer can be cancelled by its session and by CANCEL TRANSFER; both set the same event.
3. Into a branch everything is one transaction, so there are no pieces to resume.
4. The client is told of the progress while the transfer runs.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from branching.errors import BoughError
from migration.connectors.base import Connector, Path, Source
from migration.datasources.datasource import LOCAL
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.schema import transfer as schema_transfer
from migration.schema import views as schema_views
from migration.transfer import explain as explaining
from migration.transfer import undertaking
from migration.transfer.plan import plan
from migration.transfer_model import Progress, TransferMode, TransferOptions, TransferRequest, TransferResult
from proxy.commands import remote as c
from proxy.session.local.endpoint import LocalConnector
from proxy.session.outcome import Outcome, done, table

_NOTICE_SECONDS = 1.0

if TYPE_CHECKING:
    from proxy.session.remote.commands import RemoteCommands


def transfer(commands: RemoteCommands, command: c.Transfer) -> Outcome:
    """Plans and runs one transfer."""
    request = _request(commands, command)
    with _ends(commands, request) as (a, b):
        result = undertaking.undertake(
            request,
            a,
            b,
            journal=commands.state.journal,
            progress=Teller(commands),
            cancelled=commands.stop.is_set,
        )
    return _outcome(command, [result])


@contextmanager
def _ends(commands: RemoteCommands, request: TransferRequest) -> Iterator[tuple[Connector, Connector]]:
    """Both ends of a transfer, opened; a protected branch is no target (25006)."""
    with commands.opened(
        request.source_name, request.target_name, branch=request.branch, source_branch=request.source_branch
    ) as (a, b):
        if isinstance(b, LocalConnector):
            b.refuse_writing()
        try:
            yield a, b
        finally:
            commands.state.ended(commands.stop)


def transfer_schema(commands: RemoteCommands, command: c.TransferSchema) -> Outcome:
    """All tables of a schema, one transfer for each."""
    target, schema = _schema_target(commands, command)
    source_branch, branch = _branches(commands, command.source, target, command.branch)
    both = TransferRequest(
        Source(path=(command.schema, "*")), (*schema, "*"), source_name=command.source, target_name=target,
        branch=branch, source_branch=source_branch,
    )  # fmt: skip
    with _ends(commands, both) as (a, b):
        options = _options(command.options, target)
        views = schema_views.plan_views(command.schema, a, b, schema, options)
        found = schema_transfer.requests(
            command.schema, a, schema, options, views=views, source_name=command.source, target_name=target,
            role=commands.session.user, branch=branch, source_branch=source_branch,
        )  # fmt: skip
        results = list(
            schema_transfer.run_schema(
                found,
                a,
                b,
                views=views,
                journal=commands.state.journal,
                progress=Teller(commands),
                cancelled=commands.stop.is_set,
            )
        )
    for name in options.skip_tables:
        commands.session.tell(f'table "{name}" is left behind, as skip_tables says')
    for name in views.skipped:
        commands.session.tell(f'view "{name}" is left behind, as skip_views says')
    return _outcome(command, results)


def _branches(
    commands: RemoteCommands, source: str, target: str, on_branch: str | None
) -> tuple[str | None, str | None]:
    """The branches that ``local`` stands for as source and as target, written down: a resume may come from another."""
    connection = commands.session.connection
    assert connection is not None
    return (
        connection.branch if source == LOCAL else None,
        (on_branch or connection.branch) if target == LOCAL else on_branch,
    )


def explain(commands: RemoteCommands, command: c.ExplainTransfer) -> Outcome:
    """The steps of a transfer; nothing is written."""
    asked = command.transfer
    rows: list[Any]
    if isinstance(asked, c.TransferSchema):
        target, schema = _schema_target(commands, asked)
        with commands.opened(asked.source, target, branch=asked.branch) as (a, b):
            options = _options(asked.options, target)
            views = schema_views.plan_views(asked.schema, a, b, schema, options)
            found = schema_transfer.requests(
                asked.schema, a, schema, options, views=views,
                source_name=asked.source, target_name=target, branch=asked.branch,
            )  # fmt: skip
            rows = list(schema_transfer.explain_schema(found, a, b, views))
    else:
        request = _request(commands, asked)
        with (
            commands.opened(
                request.source_name,
                request.target_name,
                branch=asked.branch,
                source_branch=request.source_branch,
            ) as (a, b),
            plan(request, a, b, journal=commands.state.journal) as item,
        ):
            rows = list(explaining.explain(item))
    return table(command.result, rows, lambda _rows: command.tag)


def resume(commands: RemoteCommands, command: c.ResumeTransfer) -> Outcome:
    """Goes on with a transfer that ended early, or starts it again."""
    journal = commands.state.journal
    entry = journal.entry(command.id)
    if entry is None:
        raise BoughError("42704", f"there is no transfer {command.id}", hint="SHOW TRANSFERS lists them.")
    request = TransferRequest.from_json(entry.request)
    with _ends(commands, request) as (a, b):
        result = undertaking.resume(
            journal, command.id, a, b, progress=Teller(commands), cancelled=commands.stop.is_set
        )
    return _outcome(command, [result])


def cancel(commands: RemoteCommands, command: c.CancelTransfer) -> Outcome:
    """CANCEL TRANSFER: stops one that runs; lets go of what one that broke off keeps to be resumed."""
    entry = commands.state.journal.entry(command.id)
    ended = ("interrupted", "failed", "cancelled", "publishing")
    resumable = entry is not None and entry.state in ended and not commands.state.is_running(entry.id)
    if entry is None or not resumable or (entry.staging is None and entry.state != "interrupted"):
        commands.state.cancel(command.id)
        return done(command.tag)
    request = TransferRequest.from_json(entry.request)
    try:
        with _ends(commands, request) as (a, b):
            known = undertaking.abandon(commands.state.journal, command.id, a, b)
    except (BoughError, MigrationError) as error:
        if error.sqlstate != "42704" or entry.state == "publishing":
            raise
        undertaking.give_up(commands.state.journal, entry)
        if entry.staging is not None:
            commands.notice(f'{error.message}: staging table "{".".join(entry.staging)}" was not dropped')
        return done(command.tag)
    if not known:
        commands.notice(
            f'transfer {entry.id} is given up; nobody can tell whether its rows are in "{entry.target}": look there'
        )
    return done(command.tag)


def _request(commands: RemoteCommands, command: c.Transfer) -> TransferRequest:
    of_source = None
    if command.source == LOCAL:
        name, source, of_source = commands.side(command.origin)
    else:
        name, source = commands.source(command.origin, command.source)
    target, path = _target(commands, command.target)
    source_branch, branch = _branches(commands, name, target, command.branch)
    options = _options(command.options, target)
    for option in ("skip_tables", "skip_views", "views_as_tables"):
        if getattr(options, option):
            raise BoughError("22023", f"{option} is an option of TRANSFER SCHEMA")
    return TransferRequest(
        source,
        path,
        cast(TransferMode, command.mode),
        command.key,
        command.cursor,
        options,
        name,
        target,
        branch=branch,
        role=commands.session.user,
        source_branch=of_source or source_branch,
    )


def _options(pairs: c.Options, target: str) -> TransferOptions:
    return local_options(TransferOptions.from_pairs(pairs), target)


def _target(commands: RemoteCommands, target: Path) -> tuple[str, Path]:
    """The datasource and the table there. 42704 for a target without a datasource, 42602 for one without a table, 0A000
    for one that names a branch: what is made or replaced somewhere else than was meant is not found for long."""
    shown = ".".join(spelled(part) for part in target)
    has_branch = commands.session.service.database.has_branch
    branch, *rest = target[1:] if target[0] == LOCAL and len(target) > 1 else target
    if len(rest) == 2 and (
        target[0] == LOCAL or (has_branch(branch) and branch not in commands.state.datasources)
    ):
        there = ".".join(spelled(part) for part in (LOCAL, *rest))
        raise BoughError(
            "0A000",
            f'a transfer does not write to "{".".join(target)}"',
            detail="The name of a branch before that of a table is for reading.",
            hint=f"TO {there} ON BRANCH {spelled(branch)} writes there.",
        )
    if len(target) == 1 and (target[0] == LOCAL or target[0] in commands.state.datasources):
        raise BoughError(
            "42602",
            f'"{target[0]}" is a datasource and no table',
            hint=f"Name the table there: {shown}.table, or {shown}.schema.table. "
            f"A table of the session's branch is {LOCAL}.{shown}.",
        )
    name, path = commands.split(target)
    if name == LOCAL and target[0] != LOCAL:
        try:
            commands.state.datasources.get(target[0])
        except MigrationError as error:
            error.hint = f"{error.hint} A table of the session's branch is {LOCAL}.{shown}."
            raise
    return name, path


def local_options(options: TransferOptions, target: str) -> TransferOptions:
    """Into a branch rows go in one piece."""
    return replace(options, range_rows=0) if target == LOCAL else options


def _schema_target(commands: RemoteCommands, command: c.TransferSchema) -> tuple[str, Path]:
    name, *schema = command.target
    if name != LOCAL:
        commands.state.datasources.get(name)
    return name, tuple(schema)


class Teller:
    """Tells the client how far its transfer is: a NOTICE when rows begin to move, then one a second at most."""

    def __init__(self, commands: RemoteCommands) -> None:
        self._commands = commands
        self._stop = commands.stop
        self._told: float | None = None
        self._transfer = 0
        self._began = 0.0

    def __call__(self, state: Progress) -> None:
        self._commands.state.started(state.transfer_id, self._stop)
        if state.phase in ("profile", "staging"):
            return
        if state.transfer_id != self._transfer:
            self._transfer, self._began = state.transfer_id, state.seconds
        now = time.monotonic()
        if self._told is None or now - self._told >= _NOTICE_SECONDS:
            self._told = now
            self._commands.session.tell(progress_text(state, state.seconds - self._began))


def progress_text(state: Progress, moving: float) -> str:
    """How far a transfer is; ``moving``: the seconds since its first row."""
    rows = f"{state.rows_done:,}"
    if state.rows_total is not None:
        rows += f" of {state.rows_total:,}"
    parts = [f"{rows} rows"]
    if state.percent is not None:
        parts[0] += f" ({state.percent:.0f}%)"
    if moving > 0 and state.rows_done:
        parts.append(f"{state.rows_done / moving:,.0f} rows/s")
    return f"transfer {state.transfer_id}: {state.phase}, {', '.join(parts)}"


def _outcome(
    command: c.Transfer | c.TransferSchema | c.ResumeTransfer, results: list[TransferResult]
) -> Outcome:
    rows = []
    for result in results:
        values = result.as_dict()
        values["checks"] = json.dumps(values["checks"], default=str)
        rows.append(tuple(values[name] for name, _ in command.result or ()))
    return table(
        command.result or (), rows, lambda _rows: f"TRANSFER {sum(r.rows_transferred for r in results)}"
    )
