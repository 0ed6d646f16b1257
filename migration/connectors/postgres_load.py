"""COPY FROM STDIN into one table, over one session or two at once.

A COPY is the work of one process of the server, and it is the slowest stage of a move. Rules:

1. Only a staging table is filled by two sessions: nobody else reads or writes it. It must have no index and no
   foreign key, where two sessions could wait for each other's rows. So these are set aside while many rows come into an
   empty one (``KeysAside``): to sort for an index and to look for every parent once is quicker than row by row, too.
2. Where many bytes come (``begun``) another begins at once, while the first pieces are encoded. A server that has no
   room for it is loaded by the first alone.
3. Its decimals are stored without a short header meanwhile (``store_plain``): every function that looks at one would
   copy it first, which is a quarter of what measuring the table costs.
4. Each piece that is handed over is a run of whole rows, so it does not matter who sends it. All sessions commit after
   the last of them has sent everything; one that fails stops the others, and nothing of theirs stays.
"""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import TracebackType
from typing import Any, Self

import psycopg
import pyarrow as pa

from migration.errors import MigrationError
from migration.queues import ByteQueue, Stopped

Session = psycopg.Connection[Any]
_MANY = 3 << 20  # bytes from which keys are set aside and a second session is worth opening
_HELD = """
SELECT EXISTS (SELECT 1 FROM pg_catalog.pg_index WHERE indrelid = %(oid)s)
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_constraint WHERE conrelid = %(oid)s AND contype = 'f')
    OR EXISTS (SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = %(oid)s)"""


def begun(batches: Iterable[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch], bool]:
    """The first batches, the others, and whether they are many."""
    iterator, first, size = iter(batches), [], 0
    for batch in iterator:
        first.append(batch)
        size += batch.nbytes
        if size >= _MANY:
            return first, iterator, True
    return first, iterator, False


def is_plain(session: Session, oid: int) -> bool:
    """True if nothing makes the rows of one session wait for those of another."""
    found = session.execute(_HELD.encode(), {"oid": oid}).fetchone()
    return found is not None and not found[0]


_KEYS = """
SELECT CASE contype WHEN 'f' THEN 2 ELSE 1 END AS place,
       'ALTER TABLE ' || conrelid::regclass || ' DROP CONSTRAINT ' || quote_ident(conname),
       'ALTER TABLE ' || conrelid::regclass || ' ADD CONSTRAINT ' || quote_ident(conname) || ' '
       || pg_catalog.pg_get_constraintdef(oid),
       pg_catalog.obj_description(oid, 'pg_constraint')
FROM pg_catalog.pg_constraint WHERE conrelid = %(oid)s AND contype IN ('p', 'u', 'x', 'f')
UNION ALL
SELECT 1, 'DROP INDEX ' || indexrelid::regclass, pg_catalog.pg_get_indexdef(indexrelid),
       pg_catalog.obj_description(indexrelid, 'pg_class')
FROM pg_catalog.pg_index x WHERE indrelid = %(oid)s
    AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c WHERE c.conindid = x.indexrelid)
ORDER BY place"""


class KeysAside:
    """The keys and indexes of an empty table are away while it is filled; a context manager, outside a transaction.

    Leaving it puts them back, and raises what they find wrong: then, as after any error, the table is empty again. A
    process that ends meanwhile leaves a table without keys, so an empty staging table is never gone on with.
    """

    def __init__(self, session: Session, oid: int) -> None:
        self._session = session
        self._table = str(_one(session, "SELECT %s::oid::regclass::text", oid))
        found = session.execute(_KEYS.encode(), {"oid": oid}).fetchall()
        if any(comment is not None for *_, comment in found):  # nothing of a key is to be lost
            found = []
        self._drop = [drop for _, drop, _, _ in reversed(found)]
        self._make = [make for _, _, make, _ in found]

    def __enter__(self) -> Self:
        self._run(self._drop)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is None:
            try:
                self._run(self._make)
            except psycopg.errors.UniqueViolation as reason:
                self._restore()
                raise MigrationError(
                    "23505",
                    "a key of the target is not unique in the source",
                    detail=reason.diag.message_detail,
                    hint="Select one row for each key.",
                ) from None
            except psycopg.Error:
                self._restore()
                raise
        else:
            self._restore()

    def _restore(self) -> None:
        with contextlib.suppress(psycopg.Error):  # a lost connection: whoever made the table drops it
            self._run([f"TRUNCATE {self._table}", *self._make])

    def _run(self, statements: Sequence[str]) -> None:
        if statements:
            with self._session.transaction():
                for statement in statements:
                    self._session.execute(statement.encode())


_DECIMALS = """
SELECT quote_ident(attname) FROM pg_catalog.pg_attribute
WHERE attrelid = %s AND attnum > 0 AND NOT attisdropped AND atttypid = 'pg_catalog.numeric'::regtype
    AND attstorage = 'm' AND atttypmod > 4 AND (atttypmod - 4) >> 16 <= 38 ORDER BY attnum"""
# Of at most 24 bytes each: what is stored plain cannot leave a row that is too long for a page.
_PLAIN_COLUMNS = 64
_STORAGE = {"p": "PLAIN", "m": "MAIN", "e": "EXTERNAL", "x": "EXTENDED"}
_CHANGED = """
SELECT quote_ident(a.attname), coalesce(t.attstorage, y.typstorage)::text
FROM pg_catalog.pg_attribute a JOIN pg_catalog.pg_type y ON y.oid = a.atttypid
    LEFT JOIN pg_catalog.pg_attribute t ON t.attrelid = %(target)s AND t.attname = a.attname AND t.atttypid = a.atttypid
WHERE a.attrelid = %(staging)s AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid = 'pg_catalog.numeric'::regtype
    AND a.attstorage = 'p' AND coalesce(t.attstorage, y.typstorage) <> 'p' ORDER BY a.attnum"""


def store_plain(session: Session, oid: int) -> None:
    """Decimals of up to 38 digits that come into an empty table are stored with the header that functions expect: three
    bytes more each, and no copy whenever one is looked at."""
    names = [name for (name,) in session.execute(_DECIMALS.encode(), [oid]).fetchall()]
    # What speaks like PostgreSQL need not store like it.
    with contextlib.suppress(psycopg.errors.FeatureNotSupported, psycopg.errors.SyntaxError):
        _set_storage(session, oid, [(name, "PLAIN") for name in names[:_PLAIN_COLUMNS]])


def store_as(session: Session, staging: int, target: int | None) -> None:
    """Takes ``store_plain`` back: new rows are stored as in ``target``, or as the type has it. Those there stay."""
    found = session.execute(_CHANGED.encode(), {"staging": staging, "target": target}).fetchall()
    _set_storage(session, staging, [(name, _STORAGE[storage]) for name, storage in found])


def _set_storage(session: Session, oid: int, wanted: Sequence[tuple[str, str]]) -> None:
    if wanted:
        table = _one(session, "SELECT %s::oid::regclass::text", oid)
        changes = ", ".join(f"ALTER COLUMN {name} SET STORAGE {storage}" for name, storage in wanted)
        session.execute(f"ALTER TABLE {table} {changes}".encode())


def new_rows_only(session: Session, oid: int) -> contextlib.AbstractContextManager[object]:
    """An empty table is made ready for many rows; one that has some is let alone."""
    if not _is_empty(session, oid):
        return contextlib.nullcontext()
    store_plain(session, oid)
    return KeysAside(session, oid)


def _is_empty(session: Session, oid: int) -> bool:
    table = _one(session, "SELECT %s::oid::regclass::text", oid)
    return bool(_one(session, f"SELECT NOT EXISTS (SELECT 1 FROM {table})"))


def _one(session: Session, query: str, *parameters: object) -> Any:
    found = session.execute(query.encode(), parameters or None).fetchone()
    return None if found is None else found[0]


class CopyIn:
    """One load; a context manager. Leaving it waits until everything is sent, and raises what a session said.

    ``header`` and ``trailer`` are sent by every session before and after its pieces. ``more`` opens another session and
    ``close`` ends it; without ``more`` the first session does it alone, in whatever transaction it is in.
    """

    def __init__(
        self,
        session: Session,
        statement: str,
        header: bytes,
        trailer: bytes,
        more: Callable[[], Session] | None = None,
        close: Callable[[Session], None] = psycopg.Connection.close,
    ) -> None:
        self._statement = statement.encode()
        self._header, self._trailer = header, trailer
        self._more, self._close = more, close
        self._shared = more is not None
        self._sessions = [session]
        self._threads: list[threading.Thread] = []
        self._queue = ByteQueue()
        self._lock = threading.Lock()
        self._error: BaseException | None = None
        self.rows = 0
        self.size = 0

    def put(self, data: bytes) -> None:
        """Hands over whole rows; waits while too much is waiting, raises what a session said."""
        if not data:
            return
        self.size += len(data)
        try:
            self._queue.put(data, len(data))
        except Stopped:
            if self._error is None:
                raise
            raise self._error from None

    def _start(self, work: Callable[..., None], given: object) -> None:
        thread = threading.Thread(target=work, args=(given,), name="transfer-sender", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _helping(self, more: Callable[[], Session]) -> None:
        try:
            session = more()
        except MigrationError:  # no room for one more: it goes on with those it has
            return
        self._sessions.append(session)
        self._sending(session)

    def _sending(self, session: Session) -> None:
        try:
            if self._shared:
                session.execute("BEGIN")
            with session.cursor() as cursor:
                with cursor.copy(self._statement) as copy:
                    copy.write(self._header)
                    while (data := self._queue.get()) is not None:
                        copy.write(memoryview(data))  # psycopg cuts it into pieces: of bytes each is a copy
                    copy.write(self._trailer)
                with self._lock:
                    self.rows += cursor.rowcount
        except Stopped:
            pass
        except BaseException as error:
            with self._lock:
                self._error = self._error or error
            self._queue.stop()

    def __enter__(self) -> Self:
        self._start(self._sending, self._sessions[0])
        if self._more is not None:
            self._start(self._helping, self._more)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if value is not None:
            self._queue.stop()
        with contextlib.suppress(Stopped):  # its error is raised below
            for _ in self._threads:
                self._queue.put(None, 0)
        for thread in self._threads:
            thread.join()
        try:
            if self._shared:
                self._end(whole=value is None and self._error is None)
        finally:
            for session in self._sessions[1:]:
                self._close(session)
        if value is None and self._error is not None:
            raise self._error

    def _end(self, *, whole: bool) -> None:
        for session in self._sessions:
            if whole:
                session.execute("COMMIT")
            else:
                with contextlib.suppress(psycopg.Error):  # a lost connection has rolled back already
                    session.execute("ROLLBACK")
