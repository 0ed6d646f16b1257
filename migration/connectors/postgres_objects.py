"""What a PostgreSQL schema has besides tables: views as text, sequences of no column, numbers that go on."""

from __future__ import annotations

from typing import Any

import psycopg

from migration.connectors.base import Path
from migration.connectors.opening import SqlConnector
from migration.connectors.postgres_catalog import Session, find
from migration.connectors.postgres_publishing import count_on
from migration.connectors.queries import quoted_path
from migration.dialects import DialectContract
from migration.dialects.charsets import is_known
from migration.dialects.quoting import quote_text
from migration.model import SequenceSpec

_SEQUENCES = """
SELECT n.nspname, c.relname, pg_catalog.format_type(s.seqtypid, NULL), s.seqstart, s.seqmin, s.seqmax, s.seqincrement,
       s.seqcache, s.seqcycle, pg_catalog.pg_sequence_last_value(c.oid)
FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = %s AND NOT EXISTS (
    SELECT 1 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.objid = c.oid
    AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0) ORDER BY 2"""


class PostgresObjects(SqlConnector[psycopg.Connection[Any]]):
    """The connector's part that knows them."""

    def told(self, session: Session) -> None:
        """Keeps what the server says of itself as a session begins."""
        self.seen_version = session.info.parameter_status("server_version")
        encoding = session.info.parameter_status("server_encoding") or ""
        self.charset = encoding if is_known(encoding) else None

    def count_on(self, path: Path, column: str) -> int | None:
        """Generated numbers of a column go on behind those in the table."""
        with self.session() as session:
            return count_on(session, path, column, self.item)

    def definition(self, path: Path) -> str | None:
        """A view's text, every name in full; tables have none."""
        with self.session() as session:
            return view_text(session, path)

    def sequences(self, schema: str) -> list[SequenceSpec]:
        """Those that belong to no column."""
        with self.session() as session:
            return sequences_of(session, schema)

    def make_sequence(self, path: Path, found: SequenceSpec) -> bool:
        """A sequence like that one, behind its last number; one that is there only goes forward."""
        made, moved = sequence_statements(path, found, self.item)
        self.refuse_writing()
        with self.session() as session:
            session.execute(made.encode())
            if found.last is not None:
                session.execute(moved.encode())
        return True


def sequences_of(session: Session, schema: str) -> list[SequenceSpec]:
    """The sequences of a schema that belong to no column."""
    return [
        SequenceSpec((row[0], row[1]), *row[2:]) for row in session.execute(_SEQUENCES, [schema]).fetchall()
    ]


def sequence_statements(path: Path, found: SequenceSpec, item: DialectContract) -> tuple[str, str]:
    """Makes a sequence where it is missing, and puts it behind the last number given; the text of ``setval`` is a
    query that moves it forward only."""
    name = quoted_path(path, item)
    cycle = "CYCLE" if found.cycle else "NO CYCLE"
    made = (
        f"CREATE SEQUENCE IF NOT EXISTS {name} AS {found.type} INCREMENT BY {found.step} MINVALUE {found.least} "
        f"MAXVALUE {found.greatest} START WITH {found.start} CACHE {found.cache} {cycle}"
    )
    ahead = ">" if found.step > 0 else "<"
    moved = (
        f"SELECT pg_catalog.setval({quote_text(name, item)}, {found.last}) "
        f"WHERE pg_catalog.pg_sequence_last_value({quote_text(name, item)}::pg_catalog.regclass) IS NULL "
        f"OR {found.last} {ahead} pg_catalog.pg_sequence_last_value({quote_text(name, item)}::pg_catalog.regclass)"
    )
    return made, moved


def view_text(session: Session, path: Path) -> str | None:
    """CREATE VIEW with every name in full, None for what is no view. The session's search path is gone afterwards."""
    oid = find(session, path)
    session.execute("SET search_path TO pg_catalog")
    found = session.execute(
        "SELECT pg_catalog.quote_ident(relname), pg_catalog.pg_get_viewdef(oid) FROM pg_catalog.pg_class "
        "WHERE oid = %s AND relkind = 'v'",
        [oid],
    ).fetchone()
    return None if found is None else f"CREATE VIEW {found[0]} AS {found[1]}"
