"""What hangs on a PostgreSQL table and would be lost, or left behind, if another took its name.

A view keeps reading the old table after a rename, grants and triggers stay with it, a serial column's
sequence is dropped with it. Where any of these is there, the table stays and its rows are replaced. Otherwise
the new table takes over the names of the old one's constraints and indexes too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import psycopg

from migration.connectors.base import Mode, Path, Published
from migration.connectors.children import Reference
from migration.connectors.fitting import ALTERED
from migration.connectors.opening import SqlConnector
from migration.connectors.postgres_catalog import ACTIONS, ROW_SECURITY_SINCE, find
from migration.connectors.postgres_load import store_as
from migration.connectors.queries import quoted, quoted_path
from migration.connectors.writing import SqlWriter
from migration.dialects import DialectContract
from migration.errors import MigrationError

Session = psycopg.Connection[Any]

# What, and a query that returns a row if it is there; foreign keys first, because they change the way.
_ATTACHED = (
    (
        "foreign key",
        "SELECT 1 FROM pg_constraint WHERE confrelid = %s AND contype = 'f' AND conrelid <> confrelid",
    ),
    (
        "view",
        "SELECT 1 FROM pg_depend d JOIN pg_rewrite r ON r.oid = d.objid WHERE d.classid = 'pg_rewrite'::regclass "
        "AND d.refobjid = %s AND r.ev_class <> d.refobjid",
    ),
    (
        "trigger",
        "WITH RECURSIVE t(oid) AS (SELECT %s::oid UNION ALL "
        "SELECT inhrelid FROM pg_inherits JOIN t ON inhparent = t.oid) "
        "SELECT 1 FROM pg_trigger JOIN t ON tgrelid = t.oid WHERE NOT tgisinternal",
    ),
    ("rule", "SELECT 1 FROM pg_rewrite WHERE ev_class = %s"),
    ("policy", "SELECT 1 FROM pg_policy WHERE polrelid = %s"),
    ("grant", "SELECT 1 FROM pg_class WHERE oid = %s AND relacl IS NOT NULL"),
    ("column grant", "SELECT 1 FROM pg_attribute WHERE attrelid = %s AND attacl IS NOT NULL"),
    (
        "sequence",
        "SELECT 1 FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' "
        "WHERE d.refobjid = %s AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0",
    ),
    ("partition or child table", "SELECT 1 FROM pg_inherits WHERE %s IN (inhrelid, inhparent)"),
    ("partitioning", "SELECT 1 FROM pg_class WHERE oid = %s AND relkind = 'p'"),
    ("publication", "SELECT 1 FROM pg_publication_rel WHERE prrelid = %s"),
    ("statistics object", "SELECT 1 FROM pg_statistic_ext WHERE stxrelid = %s"),
    (
        "outgoing foreign key",
        "SELECT 1 FROM pg_constraint WHERE conrelid = %s AND contype = 'f'",
    ),
    (
        "comment",
        "SELECT 1 FROM pg_description WHERE objoid = %s AND classoid = 'pg_class'::regclass AND objsubid = 0",
    ),
    (
        "setting of the table",
        "SELECT 1 FROM pg_class c WHERE oid = %s AND (reloptions IS NOT NULL OR relpersistence <> 'p' "
        "OR relreplident <> 'd' OR reltablespace <> 0 "
        "OR EXISTS (SELECT 1 FROM pg_index WHERE indrelid = c.oid AND indisclustered))",
    ),
    (
        "setting of a column",
        "SELECT 1 FROM pg_attribute WHERE attrelid = %s AND attnum > 0 "
        "AND (attstattarget > 0 OR attoptions IS NOT NULL)",
    ),
    (
        "another owner",
        "SELECT 1 FROM pg_class WHERE oid = %s AND relowner <> (SELECT oid FROM pg_roles WHERE rolname = current_user)",
    ),
    (
        "row type",
        "SELECT 1 FROM pg_depend d JOIN pg_type t ON t.oid = d.refobjid JOIN pg_class c ON c.reltype = t.oid "
        "WHERE c.oid = %s AND d.deptype = 'n'",
    ),
)
_NAMES = """
SELECT 'constraint', conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = %(oid)s
UNION ALL
SELECT 'index', i.relname, regexp_replace(pg_get_indexdef(i.oid), '^.* USING ', x.indisunique::text)
FROM pg_index x JOIN pg_class i ON i.oid = x.indexrelid
WHERE x.indrelid = %(oid)s AND NOT EXISTS (SELECT 1 FROM pg_constraint c WHERE c.conindid = i.oid)
ORDER BY 1, 2"""

_OVERRIDES = 100_000  # the first version with identity columns
_CHILDREN = """
SELECT i.inhrelid::regclass::text FROM pg_inherits i JOIN pg_class p ON p.oid = i.inhparent
WHERE p.oid = %s AND p.relkind <> 'p' ORDER BY 1 LIMIT 5"""
_REFERENCES = """
SELECT n.nspname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, i)
             JOIN pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.i),
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, i)
             JOIN pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.i),
       c.confdeltype::text, c.conrelid = c.confrelid
FROM pg_constraint c JOIN pg_class r ON r.oid = c.conrelid JOIN pg_namespace n ON n.oid = r.relnamespace
WHERE c.confrelid = %(oid)s AND c.contype = 'f' AND c.confdeltype IN ('c', 'n', 'd') ORDER BY 1, 2, c.conname"""
_SEQUENCES = """
SELECT s.relname FROM pg_depend d JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S'
WHERE d.refobjid = %s AND d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') AND d.refobjsubid > 0"""

_MERGING = 0x426F7567  # the first half of the advisory locks that are ours; the second is a table's OID


class PostgresPublisher(SqlWriter):
    """The writer's publishing: names of constraints and indexes are the table's own."""

    connector: SqlConnector[Session]
    session: Session
    own = frozenset(
        {"sequence", "outgoing foreign key", "comment", "setting of the table", "setting of a column"}
    )

    def dependants(self, path: Path) -> tuple[str, ...]:
        with self.connector.errors():
            return attachments(self.session, path)

    def altered(self, staging: Path, target: Path) -> tuple[str, ...]:
        """Constraints and indexes that no table of ours describes count too."""
        with self.connector.errors():
            one, other = (
                sorted((what, text) for what, _, text in _named(self.session, each))
                for each in (staging, target)
            )
        return super().altered(staging, target) if one == other else (ALTERED,)

    def references(self, target: Path) -> tuple[Reference, ...]:
        with self.connector.errors():
            found = self.session.execute(_REFERENCES.encode(), {"oid": find(self.session, target)}).fetchall()
        return tuple(
            Reference((schema, name), tuple(columns), tuple(referred), ACTIONS[action], own)
            for schema, name, columns, referred, action, own in found
        )

    def lock_rows(self, target: Path, condition: str) -> None:
        self.execute(
            f"SELECT count(*) FROM (SELECT 1 FROM {self.q(target)} AS t WHERE {condition} FOR UPDATE) AS locked"
        )

    def publish(self, staging: Path, target: Path, mode: Mode, key: Sequence[str] = ()) -> Published:
        is_new = not self.exists(target)
        with self.transaction():
            if self.connector.dialect == "postgres" and (is_new or mode in ("replace", "recreate")):
                with self.connector.errors():
                    staged = find(self.session, staging)
                    like = None if mode == "recreate" else find(self.session, target)
                    if staged is not None:
                        store_as(self.session, staged, like)
            if not is_new and mode != "append":
                self._wait_for_others(target)
            published = super().publish(staging, target, mode, key)
            if is_new or mode == "recreate":
                with self.connector.errors():
                    own_names(self.session, staging, target, self.item)
        return published

    def has_published(self, staging: Path, rows: int) -> bool | None:
        """A session whose client is gone may still be at its COMMIT: it holds the table that it has dropped."""
        try:
            with self.transaction():
                self.execute(f"LOCK TABLE {self.q(staging)} IN ACCESS SHARE MODE")
        except MigrationError as error:
            if error.sqlstate not in ("HV00R", "3F000"):
                raise
            return True
        return False

    def delete_missing(self, staging: Path, target: Path, key: Sequence[str]) -> None:
        """0A000 where policies may hide rows from who deletes: they would stay, and nobody would know."""
        with self.connector.errors():
            hides = (
                self.session.info.server_version >= ROW_SECURITY_SINCE
                and self.session.execute(
                    "SELECT 1 FROM pg_catalog.pg_class WHERE oid = %s AND pg_catalog.row_security_active(oid)",
                    [find(self.session, target)],
                ).fetchone()
            )
        if hides:
            raise MigrationError(
                "0A000",
                f'table "{".".join(target)}" cannot be replaced by key: row-level security may hide rows of it',
                detail=f'Rows that policies do not show to "{self.session.info.user}" would stay. Nothing has changed.',
                hint="Use a datasource whose user sees all rows (BYPASSRLS), or MODE upsert, which deletes nothing.",
            )
        super().delete_missing(staging, target, key)

    def _wait_for_others(self, target: Path) -> None:
        """Until no other transfer merges rows by key here: without a unique key both would insert what neither sees."""
        with self.connector.errors():
            self.session.execute(
                b"SELECT pg_advisory_xact_lock(%s, %s::bigint::bit(32)::int)",
                [_MERGING, find(self.session, target)],
            )

    def overriding(self, target: Path) -> str:
        if self.session.info.server_version < _OVERRIDES:
            return ""
        return "OVERRIDING SYSTEM VALUE "

    def update(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        """An identity GENERATED ALWAYS is let alone where the rows have its numbers already. Where they have others, it
        takes them while the transaction lasts, as it does where all rows are new."""
        always = {column.name for column in self.describe(target).columns if column.identity == "always"}
        fixed = [name for name in rest if name in always]
        differ = " OR ".join(
            f"t.{quoted(name, self.item)} IS DISTINCT FROM s.{quoted(name, self.item)}" for name in fixed
        )
        tables = f"{self.q(target)} AS t JOIN {self.q(staging)} AS s ON {self.match('t', 's', key)}"
        if not fixed or not self.rows(f"SELECT 1 FROM {tables} WHERE {differ} LIMIT 1"):
            given = [name for name in rest if name not in fixed]
            return self._merge(staging, target, key, given) if given else 0
        self._generate(target, fixed, "BY DEFAULT")
        updated = self._merge(staging, target, key, rest)
        self._generate(target, fixed, "ALWAYS")
        return updated

    def _merge(self, staging: Path, target: Path, key: Sequence[str], rest: Sequence[str]) -> int:
        """Updates rows. Those of a table that refers to itself may come to refer to new ones: these come in the same
        statement, at whose end the engine looks for them."""
        spec = self.describe(target)
        itself = any(each.kind == "foreign" and each.ref_table == spec.path for each in spec.keys)
        if not itself or self.connector.dialect != "postgres":
            return super().update(staging, target, key, rest)
        statements = (
            self.updating(staging, target, key, rest),
            self.inserting(staging, target, key, self._moved(staging)),
        )
        counts = [f"(SELECT count(*) FROM bough_{number})" for number in range(len(statements))]
        found = self.rows(
            "WITH "
            + ", ".join(f"bough_{i} AS ({text} RETURNING 1)" for i, text in enumerate(statements))
            + f" SELECT {' + '.join(counts)}"
        )
        return int(found[0][0])

    def _generate(self, target: Path, names: Sequence[str], when: str) -> None:
        self.execute(
            "SET CONSTRAINTS ALL IMMEDIATE"
        )  # no table is altered while checks of its rows are put off
        sets = ", ".join(f"ALTER COLUMN {quoted(name, self.item)} SET GENERATED {when}" for name in names)
        self.execute(f"ALTER TABLE {self.q(target)} {sets}")

    def _replace(self, staging: Path, target: Path, key: tuple[str, ...]) -> Published:
        with self.connector.errors():
            children = self.session.execute(_CHILDREN.encode(), [find(self.session, target)]).fetchall()
        if children:
            names = ", ".join(name for (name,) in children)
            raise MigrationError(
                "0A000",
                f'table "{".".join(target)}" cannot be replaced: other tables inherit from it',
                detail=f"The rows of {names} would be lost with its own.",
                hint="Transfer with MODE append or upsert, or into a table without children.",
            )
        # Nobody alters it from here on; who reads or writes it does not wait yet.
        self.execute(f"LOCK TABLE {self.q(target)} IN SHARE UPDATE EXCLUSIVE MODE")
        return super()._replace(staging, target, key)

    def swap(self, staging: Path, target: Path) -> Published:
        with self.transaction():
            with self.connector.errors():
                pairs = shared_names(self.session, staging, target)
            published = super().swap(staging, target)
            with self.connector.errors():
                restore_names(self.session, target, pairs, self.item)
        return published


def attachments(session: Session, path: Path) -> tuple[str, ...]:
    """What a swap of names would lose, in words."""
    oid = find(session, path)
    return tuple(what for what, query in _ATTACHED if session.execute(query.encode(), [oid]).fetchone())


def shared_names(session: Session, staging: Path, target: Path) -> list[tuple[str, str, str]]:
    """(what, staged name, the old one's name) of constraints and indexes that both tables have alike."""
    old, pairs = _named(session, target), []
    for what, name, definition in _named(session, staging):
        match = next((each for each in old if each[0] == what and each[2] == definition), None)
        if match is not None:
            old.remove(match)
            pairs.append((what, name, match[1]))
    return pairs


def own_names(session: Session, staging: Path, target: Path, item: DialectContract) -> None:
    """Constraints and indexes that were named after the staging table are named after the table it has become."""
    pairs = [
        (what, name, name.replace(staging[-1], target[-1], 1))
        for what, name, _ in _named(session, target)
        if name.startswith(staging[-1])
    ]
    restore_names(session, target, pairs, item)
    for (name,) in session.execute(_SEQUENCES.encode(), [find(session, target)]).fetchall():
        if name.startswith(staging[-1]):
            own = quoted(name.replace(staging[-1], target[-1], 1), item)
            session.execute(
                f"ALTER SEQUENCE {quoted_path((*target[:-1], name), item)} RENAME TO {own}".encode()
            )


def restore_names(
    session: Session, target: Path, pairs: list[tuple[str, str, str]], item: DialectContract
) -> None:
    """Gives the new table's constraints and indexes the names of the old one's."""
    for what, name, wanted in pairs:
        if name == wanted:
            continue
        if what == "constraint":
            text = (
                f"ALTER TABLE {quoted_path(target, item)} "
                f"RENAME CONSTRAINT {quoted(name, item)} TO {quoted(wanted, item)}"
            )
        else:
            index = quoted_path((*target[:-1], name), item)
            text = f"ALTER INDEX {index} RENAME TO {quoted(wanted, item)}"
        session.execute(text.encode())


def count_on(session: Session, path: Path, column: str, item: DialectContract) -> int | None:
    """Puts a column's sequence behind the greatest number in the table; the next number, None if it was there."""
    table = quoted_path(path, item)
    found = session.execute(
        "SELECT pg_catalog.pg_get_serial_sequence(%s, %s)::pg_catalog.regclass::oid::int8", [table, column]
    ).fetchone()
    if found is None or found[0] is None:
        return None
    sequence = "%s::oid::pg_catalog.regclass"
    text = (
        f"SELECT pg_catalog.setval({sequence}, m) FROM (SELECT max({quoted(column, item)}) AS m FROM {table}) AS t "
        f"WHERE m > coalesce(pg_catalog.pg_sequence_last_value({sequence}), 0)"
    )
    moved = session.execute(text.encode(), [found[0], found[0]]).fetchone()
    return None if moved is None else int(moved[0]) + 1


def _named(session: Session, path: Path) -> list[tuple[str, str, str]]:
    found = session.execute(_NAMES.encode(), {"oid": find(session, path)}).fetchall()
    return [(what, name, re.sub(r"\s+", " ", definition)) for what, name, definition in found]
