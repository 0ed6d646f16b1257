"""What a server knows of other databases: its datasources and the journal of its transfers.

Rules:

1. Datasources come from ``[datasources.x]`` of the settings file, from the agent file, and from CREATE DATASOURCE.
   Only the last are kept here, beside the data file: what is public in one file, secrets in one of mode 0600.
2. A name in the settings wins over a kept one; such a datasource is dropped in the file it comes from.
3. The journal is a file beside the data file, made when the first transfer asks for it. What was running when the
   last process ended is ``interrupted`` from the start of the next one.
4. Without a data file everything is in memory.
5. What a datasource's file may be is ``remote.files``'s to say, at CREATE DATASOURCE and at each opening.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from branching import Database, pins
from branching.errors import BoughError
from branching.lines import MAIN
from branching.names import is_pin
from migration import scratch
from migration.connectors import Connector, connect, load_ahead
from migration.datasources.datasource import (
    LOCAL,
    Datasource,
    Datasources,
    datasource,
    read_secrets,
    write_secrets,
)
from migration.datasources.lists import from_agent_file, from_tables
from migration.errors import MigrationError
from migration.transfer.journal import Entry, Journal
from migration.transfer_model import TransferRequest
from proxy.session.local.definition import owned_sequences
from proxy.session.local.numbers import count_on
from proxy.session.remote.files import check_files
from proxy.settings import Settings, SettingsError


class RemoteState:
    """One per server. Safe to use from several threads."""

    def __init__(self, file: Path | None, settings: Settings) -> None:
        self._file = file
        self._granted = tuple(Path(item) for item in settings.file_directories)
        self._public = file and file.with_name(file.name + ".datasources")
        self._secret = file and file.with_name(file.name + ".secrets")
        self._journal_file = file and file.with_name(file.name + ".transfers")
        self._journal: Journal | None = None
        self._lock = threading.Lock()
        self._running: dict[int, threading.Event] = {}
        try:
            fixed = from_tables(settings.datasources, "the settings file")
            if settings.agent_file:
                listed = from_agent_file(Path(settings.agent_file))
                twice = {item.name for item in fixed} & {item.name for item in listed}
                if twice:
                    raise SettingsError(
                        f"datasource {min(twice)} is in the settings file and in {settings.agent_file}",
                        hint="Take it out of one of them, or give it another name there.",
                    )
                fixed += listed
            self.datasources = Datasources(fixed)
            self.datasources.check()
            self._fixed = frozenset(item.name for item in fixed)
            for item in self._kept():
                if item.name not in self._fixed:
                    self.datasources.add(item)
        except MigrationError as error:
            message = f"{error.message}: {error.detail}" if error.detail else error.message
            raise SettingsError(message, hint=error.hint) from error
        load_ahead(self.datasources)
        if self._journal_file is not None and self._journal_file.exists():
            self.journal.interrupt_orphans()
        scratch.remove_abandoned()

    @property
    def journal(self) -> Journal:
        """The record of all transfers."""
        with self._lock:
            if self._journal is None:
                self._journal = Journal(self._journal_file or ":memory:")
            return self._journal

    def settle(self, database: Database) -> None:
        """At start: what became of transfers into branches that were publishing, by the marks they left; and which kept
        snapshots nobody can resume in."""
        if self._journal_file is not None and self._journal_file.exists():
            entries = self.journal.entries()
            open_ = [e for e in entries if e.state == "publishing" and e.request.get("target_name") == LOCAL]
            known = pins.marked(database, [entry.staging[-1] for entry in open_ if entry.staging])
            for entry in open_:
                if entry.staging and entry.staging[-1] in known:
                    _count_on(database, entry, known[entry.staging[-1]])
                    request = TransferRequest.from_json(entry.request)
                    self.journal.finish(entry.id, watermark_of=request.watermark_key)
                else:
                    self.journal.update(
                        entry.id, state="interrupted", error="the server ended while it ran", staging=None
                    )
            kept = {entry.snapshot for entry in entries if entry.staging is not None}
        else:
            kept = set()
        pins.forget_marks(database)
        for name in [name for name in database.names if is_pin(name) and name not in kept]:
            pins.release(database, name)

    def close(self) -> None:
        """Closes the journal."""
        with self._lock:
            if self._journal is not None:
                self._journal.close()
                self._journal = None

    # -- datasources ----------------------------------------------------------------------------------------------

    def create(self, name: str, type_: str, options: Mapping[str, str], *, if_not_exists: bool) -> bool:
        """CREATE DATASOURCE; True if it is new."""
        is_new = name not in self.datasources
        if is_new:
            self._check(datasource(name, type_, options))
        self.datasources.create(name, type_, options, if_not_exists=if_not_exists)
        if is_new:
            try:
                self._keep()
            except OSError:
                self.datasources.drop(name)
                raise
            load_ahead([self.datasources.get(name)])
        return is_new

    def drop(self, name: str, *, if_exists: bool) -> bool:
        """DROP DATASOURCE; True if there was one."""
        if name in self._fixed:
            raise BoughError(
                "55006",
                f'datasource "{name}" comes from the server\'s settings',
                hint="Remove it from the file it is written in and restart the server.",
            )
        item = self.datasources.get(name) if name in self.datasources else None
        found = self.datasources.drop(name, if_exists=if_exists)
        if item is not None and found:
            try:
                self._keep(secrets_first=False)
            except OSError:
                self.datasources.add(item, if_not_exists=True)
                raise
        return found

    def connector(self, name: str) -> Connector:
        """The datasource of that name, opened; 42704 if there is none."""
        item = self.datasources.get(name)
        self._check(item)
        return connect(item)

    def _check(self, item: Datasource) -> None:
        check_files(item, self._file, self._granted, by_settings=item.name in self._fixed)

    def _kept(self) -> list[Datasource]:
        if self._public is None or self._secret is None or not self._public.exists():
            return []
        try:
            content = json.loads(self._public.read_text(encoding="utf-8"))
            secrets = read_secrets(self._secret)
            return [Datasource.from_dict(item, secrets.get(item["name"])) for item in content]
        except (OSError, ValueError, KeyError, TypeError, MigrationError) as error:
            raise SettingsError(
                f"cannot read the datasources in {self._public}: {error}",
                hint="Mend the file, or move it away and create them again.",
            ) from error

    def _keep(self, *, secrets_first: bool = True) -> None:
        """Both files as they are to be: a datasource that is listed without its password would be of no use."""
        if self._public is None or self._secret is None:
            return
        with self._lock:
            items = [item for item in self.datasources if item.name not in self._fixed]
            secrets = {item.name: item.secrets_to_dict() for item in items if item.secrets_to_dict()}
            if secrets_first:
                write_secrets(self._secret, secrets)
            written = self._public.with_name(self._public.name + ".new")
            try:
                written.write_text(json.dumps([item.to_dict() for item in items], indent=1), encoding="utf-8")
                written.replace(self._public)
            finally:
                written.unlink(missing_ok=True)
            if not secrets_first:
                with suppress(OSError):  # a secret that nobody asks for any more goes with the next change
                    write_secrets(self._secret, secrets)

    # -- transfers ------------------------------------------------------------------------------------------------

    def transfer_rows(self) -> list[tuple[Any, ...]]:
        """The rows of ``bough.transfers``, newest first."""
        if self._journal is None and not (self._journal_file and self._journal_file.exists()):
            return []  # who only asks makes no file
        return [
            (row[0], datetime.fromtimestamp(row[1], UTC), *row[2:])
            for row in (entry.row for entry in self.journal.entries())
        ]

    def renamed(self, branch: str, to: str) -> None:
        """A branch has another name, and transfers of it are found by that."""
        if self._journal is not None or (self._journal_file and self._journal_file.exists()):
            self.journal.rename(branch, to)

    def started(self, transfer: int, stop: threading.Event) -> None:
        """A transfer of this process runs; ``stop`` ends it."""
        self._running[transfer] = stop

    def runs(self, stop: threading.Event) -> bool:
        """Whether a transfer runs that ``stop`` ends."""
        return any(event is stop for event in list(self._running.values()))

    def ended(self, stop: threading.Event) -> None:
        """Nothing that ``stop`` would end runs any more."""
        for transfer in [number for number, event in list(self._running.items()) if event is stop]:
            with suppress(KeyError):
                del self._running[transfer]

    def is_running(self, transfer: int) -> bool:
        """Whether a transfer of the journal is one that runs here and now."""
        return transfer in self._running

    def cancel(self, transfer: int) -> None:
        """CANCEL TRANSFER: asks it to stop; 42704 if there is none, 55000 if it does not run."""
        stop = self._running.get(transfer)
        if stop is not None:
            stop.set()
            return
        entry = self.journal.entry(transfer)
        if entry is None:
            raise BoughError("42704", f"there is no transfer {transfer}", hint="SHOW TRANSFERS lists them.")
        raise BoughError(
            "55000", f"transfer {transfer} is {entry.state}", hint="Only a running one can be cancelled."
        )


def _count_on(database: Database, entry: Entry, table: int) -> None:
    """The process may have ended before generated numbers were behind those that moved (``transfer.finishing``)."""
    with suppress(BoughError), closing(database.connect(entry.branch or MAIN, role=entry.role)) as connection:
        for found in [each for each in connection.catalog.tables() if each.id == table]:
            owned = owned_sequences(found, connection.catalog)
            for column in [each for each in found.columns if each.identity or each.id in owned]:
                count_on(connection, found, column)
