"""What a transfer leaves in the database: snapshots it may come back to, and marks that it was published.

Rules:

1. A pin is a fork that no list shows and nobody can connect to. It is as durable as any branch, costs what a fork
   costs, and expires like one. It goes with the branch it was made from.
2. A mark is written in the transaction that it speaks of: it is there if and only if that transaction is durable.
"""

from __future__ import annotations

from collections.abc import Iterable

from branching import branches
from branching.connection import Connection
from branching.database import Database
from branching.engine.base import Cursor
from branching.gc.collect import GONE
from branching.names import MANIFEST_SCHEMA, PIN_PREFIX, is_pin

_META = f"{MANIFEST_SCHEMA}.meta"
_MARKED = "published:"  # before the text, as a key there


def pin(database: Database, branch: str, holder: str, *, role: str, ttl: int) -> str:
    """A fork of ``branch`` as it is now, for ``holder``; its name, by which a connection can read it."""
    name = f"{PIN_PREFIX}{holder}"
    release(database, name)
    branches.create(database, name, branch, role=role, ttl=ttl)
    return name


def release(database: Database, name: str) -> None:
    """Lets go of a pin; nothing if it is gone. The next collection deletes it."""
    if not is_pin(name) or name not in database.names:
        return
    line = database.any_line(name)
    branches.discard(database, name, force=True)
    with database.gate:
        database.change(line, state=GONE)


def mark(connection: Connection, text: str, table: int) -> None:
    """Notes ``text`` in the connection's open transaction, which has put rows into ``table``."""
    transaction = connection.transaction
    assert transaction is not None
    transaction.write()
    transaction.cursor.execute(f"INSERT INTO {_META} VALUES (?, ?)", (f"{_MARKED}{text}", str(table)))


def marked(database: Database, texts: Iterable[str]) -> dict[str, int]:
    """Those of ``texts`` whose transactions are durable, and the tables that these have put rows into."""
    cursor = database.root.cursor()
    try:
        known = _marks(cursor)
    finally:
        cursor.close()
    return {text: known[text] for text in texts if text in known}


def forget_marks(database: Database) -> None:
    """Deletes all marks: whoever asked for them knows the answer by now."""
    cursor = database.root.cursor()
    try:
        if _marks(cursor):
            cursor.execute(f"DELETE FROM {_META} WHERE key LIKE ?", (f"{_MARKED}%",))
    finally:
        cursor.close()


def _marks(cursor: Cursor) -> dict[str, int]:
    found = cursor.query(f"SELECT key, value FROM {_META} WHERE key LIKE ?", (f"{_MARKED}%",))
    return {key.removeprefix(_MARKED): int(value) for key, value in found}
