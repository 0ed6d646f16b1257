"""TRANSFER, TRANSFER SCHEMA, EXPLAIN TRANSFER and RESUME TRANSFER: a command to a request, a result to rows.

Rules:

1. The target's first part is its datasource; ``local`` is a branch.
2. A transfer can be cancelled by its session and by CANCEL TRANSFER; both set the same event.
3. Into a branch everything is one transaction, so there are no pieces to resume.
"""

from __future__ import annotations

import json
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from branching.errors import BoughError
from migration import explain as explaining
from migration import schema_transfer
from migration import transfer as transfers
from migration.connectors.base import Path
from migration.datasources import LOCAL
from migration.plan import plan
from migration.transfer_model import Progress, TransferMode, TransferOptions, TransferRequest, TransferResult
from proxy.commands import remote as c
from proxy.session.outcome import Outcome, table

if TYPE_CHECKING:
    from proxy.session.remote_commands import RemoteCommands


def transfer(commands: RemoteCommands, command: c.Transfer) -> Outcome:
    """Plans and runs one transfer."""
    request = _request(commands, command)
    with commands.opened(request.source_name, request.target_name, branch=command.branch) as (a, b):
        item = plan(request, a, b, journal=commands.state.journal)
        try:
            result = transfers.run(
                item,
                journal=commands.state.journal,
                progress=_progress(commands),
                cancelled=commands.stop.is_set,
            )
        finally:
            commands.state.ended(commands.stop)
    return _outcome(command, [result])


def transfer_schema(commands: RemoteCommands, command: c.TransferSchema) -> Outcome:
    """All tables of a schema, one transfer for each."""
    target, schema = _schema_target(commands, command)
    with commands.opened(command.source, target, branch=command.branch) as (a, b):
        found = schema_transfer.requests(
            command.schema, a, schema, _options(command.options, target),
            source_name=command.source, target_name=target, branch=command.branch, role=commands.session.user,
        )  # fmt: skip
        try:
            results = list(
                schema_transfer.run_schema(
                    found,
                    a,
                    b,
                    journal=commands.state.journal,
                    progress=_progress(commands),
                    cancelled=commands.stop.is_set,
                )
            )
        finally:
            commands.state.ended(commands.stop)
    return _outcome(command, results)


def explain(commands: RemoteCommands, command: c.ExplainTransfer) -> Outcome:
    """The steps of a transfer; nothing is written."""
    asked = command.transfer
    rows: list[Any]
    if isinstance(asked, c.TransferSchema):
        target, schema = _schema_target(commands, asked)
        with commands.opened(asked.source, target, branch=asked.branch) as (a, b):
            found = schema_transfer.requests(
                asked.schema, a, schema, _options(asked.options, target),
                source_name=asked.source, target_name=target, branch=asked.branch,
            )  # fmt: skip
            rows = list(schema_transfer.explain_schema(found, a, b))
    else:
        request = _request(commands, asked)
        with (
            commands.opened(request.source_name, request.target_name, branch=asked.branch) as (a, b),
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
    if request.target_name == LOCAL and entry.state == "publishing" and request.mode == "append":
        raise BoughError(
            "55000",
            f"transfer {command.id} may have been published before the server ended",
            hint=f"RECONCILE {request.source_label} WITH {request.target_label}, then TRANSFER what is missing.",
        )
    with commands.opened(request.source_name, request.target_name, branch=request.branch) as (a, b):
        try:
            result = transfers.resume(
                journal, command.id, a, b, progress=_progress(commands), cancelled=commands.stop.is_set
            )
        finally:
            commands.state.ended(commands.stop)
    return _outcome(command, [result])


def _request(commands: RemoteCommands, command: c.Transfer) -> TransferRequest:
    name, source = commands.source(command.origin, command.source)
    target, path = commands.split(command.target)
    if target == LOCAL and command.target[0] != LOCAL:
        commands.state.datasources.get(command.target[0])  # a target always names its datasource
    if target == LOCAL and command.mode == "incremental":
        raise BoughError(
            "0A000", "MODE incremental into local is not supported yet", hint="MODE upsert KEY (…) is."
        )
    return TransferRequest(
        source,
        path,
        cast(TransferMode, command.mode),
        command.key,
        command.cursor,
        _options(command.options, target),
        name,
        target,
        command.branch,
        commands.session.user,
    )


def _options(pairs: c.Options, target: str) -> TransferOptions:
    options = TransferOptions.from_pairs(pairs)
    if target != LOCAL:
        return options
    if options.recreate or options.verify in ("L3", "L4"):
        raise BoughError(
            "0A000",
            "a transfer into local cannot recreate a table or verify above L2 yet",
            hint="DROP TABLE first; RECONCILE compares every row afterwards.",
        )
    return replace(options, range_rows=0)


def _schema_target(commands: RemoteCommands, command: c.TransferSchema) -> tuple[str, Path]:
    name, *schema = command.target
    if name != LOCAL:
        commands.state.datasources.get(name)
    return name, tuple(schema)


def _progress(commands: RemoteCommands) -> Any:
    stop = commands.stop

    def report(state: Progress) -> None:
        commands.state.started(state.transfer_id, stop)

    return report


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
