"""What became of a transfer that broke off while it published.

Rules:

1. Publishing removes the staging table, or rows of it, in the step that shows the rows. So one that is there untouched
   tells that nothing was shown; the journal has that in writing before it is dropped, or a kill in between would make
   it look published.
2. One at a time settles a transfer (``Journal.take``): who comes second would find the staging table gone.
3. A staging table that is gone tells nothing where the datasource has another place by now (``place_of``).
4. Where an engine has no such step, rows that were added to others may be there or not, and nobody is to add them twice
   (55000), unless somebody gives the transfer up.
5. A new transfer settles what earlier ones to its target left open. If one of them was the same append, and has been
   published, it is refused once: whoever runs it again wants the rows twice. So is a resume of one that has been run
   again meanwhile (``refuse_again``).
"""

from __future__ import annotations

import contextlib
import hashlib

from migration.connectors.base import Connector, Path, Writer
from migration.errors import MigrationError
from migration.query_text import normalised
from migration.transfer.journal import Entry, Journal, State
from migration.transfer_model import TransferRequest

_PLACE = (
    "host", "port", "unix_socket", "service", "account", "project", "catalog", "database", "schema", "path",
)  # fmt: skip


def place_of(target: Connector) -> str | None:
    """Which database a datasource means just now, as a digest; None for one without options, such as a branch."""
    options = target.options
    if options is None:
        return None
    return hashlib.sha256("\n".join(f"{n}={options.get(n, '')}" for n in _PLACE).encode()).hexdigest()[:16]


def settle(journal: Journal, entry: Entry, target: Connector, *, give_up: bool = False) -> bool | None:
    """A transfer that broke off while it published: True if the target has it, None if nobody can tell and it does not
    matter. What is left of it is dropped."""
    if entry.error is None or not journal.take(entry, "publishing"):
        raise in_use(entry)
    request = TransferRequest.from_json(entry.request)
    adds = request.mode == "append" or (request.mode == "incremental" and not request.key)
    published: bool | None = True
    try:
        if entry.staging is not None:
            with target.writer() as writer:
                published = _has_published(writer, entry, target)
                if published is None and adds and not give_up:
                    raise _untold(entry, target)
                if not published:
                    journal.update(entry.id, state="running")
                clear(writer, entry.staging)
        if published:
            _count_on(target, request.target)
    except BaseException:
        state: State = "failed" if published is False else "publishing"
        journal.update(entry.id, state=state, error=entry.error)
        raise
    if published:
        journal.finish(entry.id, watermark_of=request.watermark_key)
    else:
        known = "ended before it was published"
        unknown = f"nobody can tell whether its {entry.rows_done} rows arrived"
        journal.update(entry.id, state="failed", error=known if published is False else unknown, staging=None)
    return published


def _has_published(writer: Writer, entry: Entry, target: Connector) -> bool | None:
    assert entry.staging is not None
    found = writer.has_published(entry.staging, entry.rows_done)
    then = entry.request.get("place")
    return None if found and then is not None and then != place_of(target) else found


def _untold(entry: Entry, target: Connector) -> MigrationError:
    assert entry.staging is not None
    moved = entry.request.get("place") not in (None, place_of(target))
    who = f'datasource "{target.name}", which was another then,' if moved else target.dialect
    return MigrationError(
        "55000",
        f"transfer {entry.id} ended while it added rows, and {who} cannot tell if they arrived",
        detail=f'Its {entry.rows_done} rows were in staging table "{".".join(entry.staging)}" before.',
        hint=f'Look into "{entry.target}". CANCEL TRANSFER {entry.id} drops staging; a new TRANSFER adds the rows.',
    )


def in_use(entry: Entry) -> MigrationError:
    """55000 for a transfer that somebody else resumes, cancels or settles."""
    return MigrationError(
        "55000",
        f"transfer {entry.id} is in use by another session",
        hint="SHOW TRANSFERS shows what has become of it.",
    )


def settle_earlier(
    journal: Journal, transfer: int, request: TransferRequest, target: Connector
) -> tuple[str, ...]:
    """What became of others to the same target, as notes; 55000 where one was the same append and its rows are there,
    or may be."""
    notes = []
    for entry in journal.attempts(request.target_label):
        open_ = entry.state == "publishing" and entry.error is not None
        if not open_ or entry.id == transfer or entry.branch != request.branch:
            continue
        same = _puts_the_same(request, TransferRequest.from_json(entry.request))
        try:
            published = settle(journal, entry, target)
        except MigrationError as error:
            if same or error.sqlstate != "55000":
                raise
            notes.append(error.message)
            continue
        if published and same:
            raise _there_already(entry)
        outcome = {
            True: "had been published",
            False: "had not been published",
            None: "may have been published",
        }
        notes.append(f"transfer {entry.id}, which had broken off, {outcome[published]}")
    return tuple(notes)


def refuse_again(journal: Journal, entry: Entry, target: Connector) -> None:
    """55000, once, for the resume of one whose rows another transfer has brought since it began."""
    request = TransferRequest.from_json(entry.request)
    for other in journal.done_since(entry):
        if not _puts_the_same(request, TransferRequest.from_json(other.request)):
            continue
        if other.request.get("place") != place_of(target) or entry.request.get("told") == str(other.id):
            return
        journal.note(entry.id, "told", str(other.id))
        raise MigrationError(
            "55000",
            f"transfer {other.id}, the same as {entry.id}, has been published since",
            detail=f'Its {other.rows_done} rows are in "{other.target}". This resume has changed nothing.',
            hint="Nothing is left to do. To add the rows once more, resume it again.",
        )


def _puts_the_same(one: TransferRequest, other: TransferRequest) -> bool:
    """Whether the rows of one would come beside the same rows of the other."""
    if one.mode != other.mode or one.mode not in ("append", "create", "incremental") or one.key:
        return False
    if (one.source_name, one.source_branch, one.source.path) != (
        other.source_name,
        other.source_branch,
        other.source.path,
    ):
        return False
    return normalised(one.source.query) == normalised(other.source.query)


def _there_already(entry: Entry) -> MigrationError:
    more = "" if entry.mode == "create" else " To add the rows once more, run it again."
    return MigrationError(
        "55000",
        f"transfer {entry.id}, the same as this one, had been published",
        detail=f'Its {entry.rows_done} rows are in "{entry.target}"; it broke off before that was known '
        f"({entry.error}). This transfer has changed nothing.",
        hint=f"Nothing is left to do.{more}",
    )


def _count_on(target: Connector, path: Path) -> None:
    """The process may have ended before generated numbers were behind those that moved (``finishing``)."""
    with contextlib.suppress(MigrationError):
        for column in target.describe(path).spec.columns:
            if column.identity:
                target.count_on(path, column.name)


def clear(writer: Writer, staging: Path) -> None:
    """Drops staging and whatever else publishing has left behind: an old table under another name."""
    writer.drop(staging)
    writer.cleanup(staging[-1].rpartition("_")[2], staging[-2] if len(staging) > 1 else None)
