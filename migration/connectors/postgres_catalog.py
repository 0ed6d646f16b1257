"""What pg_catalog says about a table: columns with canonical types, keys, comments, statistics."""

from __future__ import annotations

from typing import Any

import psycopg

from migration.connectors.base import ColumnStatistics, Path, RemoteTable, TableEntry
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, Counting, IndexSpec, KeySpec, OwnConstraint, TableSpec
from migration.types import CanonicalType, enum, list_of

Session = psycopg.Connection[Any]

_KINDS = {
    "r": "table",
    "p": "table",
    "v": "view",
    "m": "materialized view",
    "f": "foreign table",
}
_ROW_SECURITY = "SELECT 1 FROM pg_catalog.pg_class WHERE relrowsecurity LIMIT 1"
ROW_SECURITY_SINCE = 90_500
ACTIONS = {"c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT", "r": "RESTRICT"}
_COLUMNS = """
SELECT a.attname, a.atttypid, a.atttypmod, NOT a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
       a.attidentity, pg_catalog.col_description(a.attrelid, a.attnum), a.attgenerated,
       pg_catalog.pg_get_serial_sequence(a.attrelid::regclass::text, a.attname), s.seqstart, s.seqincrement,
       CASE WHEN s.seqmin <> CASE WHEN s.seqincrement > 0 THEN 1 ELSE -w.most - 1 END THEN s.seqmin END,
       CASE WHEN s.seqmax <> CASE WHEN s.seqincrement > 0 THEN w.most ELSE -1 END THEN s.seqmax END, s.seqcycle
FROM pg_catalog.pg_attribute a LEFT JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
LEFT JOIN pg_catalog.pg_sequence s
    ON s.seqrelid = pg_catalog.pg_get_serial_sequence(a.attrelid::regclass::text, a.attname)::regclass
LEFT JOIN (VALUES ('int2'::regtype, 32767::int8), ('int4', 2147483647), ('int8', 9223372036854775807)) w (type, most)
    ON w.type = s.seqtypid
WHERE a.attrelid = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"""
# A domain is what it is over, an array its element once more: down to a type that is neither.
_TYPES = """
WITH RECURSIVE given(o, m, i) AS (SELECT * FROM unnest(%s::oid[], %s::int4[]) WITH ORDINALITY),
base(i, o, m, step, lists) AS (
    SELECT i, o, m, 0, 0 FROM given
    UNION ALL
    SELECT b.i, CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.typelem END,
           CASE t.typtype WHEN 'd' THEN t.typtypmod ELSE b.m END, b.step + 1,
           b.lists + CASE t.typtype WHEN 'd' THEN 0 ELSE 1 END
    FROM base b JOIN pg_catalog.pg_type t ON t.oid = b.o LEFT JOIN pg_catalog.pg_type e ON e.oid = t.typelem
    WHERE t.typtype = 'd' OR e.typarray = t.oid)
SELECT DISTINCT ON (g.i) g.i, pg_catalog.format_type(b.o, b.m), b.lists,
       (SELECT pg_catalog.array_agg(e.enumlabel::text ORDER BY e.enumsortorder)
        FROM pg_catalog.pg_enum e WHERE e.enumtypid = b.o),
       pg_catalog.format_type(g.o, g.m)
FROM given g JOIN base b ON b.i = g.i ORDER BY g.i, b.step DESC"""
_KEYS = """
SELECT c.contype, c.conname, c.confdeltype, c.confupdtype,
       ARRAY(SELECT a.attname::text FROM unnest(c.conkey) WITH ORDINALITY k(n, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.conrelid AND a.attnum = k.n ORDER BY k.i),
       n.nspname, r.relname,
       ARRAY(SELECT a.attname::text FROM unnest(c.confkey) WITH ORDINALITY k(n, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = c.confrelid AND a.attnum = k.n ORDER BY k.i)
FROM pg_catalog.pg_constraint c LEFT JOIN pg_catalog.pg_class r ON r.oid = c.confrelid
LEFT JOIN pg_catalog.pg_namespace n ON n.oid = r.relnamespace
WHERE c.conrelid = %s AND c.contype IN ('p', 'u', 'f') ORDER BY c.contype, c.conname"""
_CHECKS = """
SELECT CASE contype WHEN 'c' THEN 'check ' ELSE 'exclusion ' END || conname,
       'CONSTRAINT ' || pg_catalog.quote_ident(conname) || ' ' || pg_catalog.pg_get_constraintdef(oid)
FROM pg_catalog.pg_constraint WHERE conrelid = %s AND contype IN ('c', 'x') ORDER BY conname"""
_INDEXES = """
SELECT i.relname, x.indisunique,
       ARRAY(SELECT a.attname::text FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, i)
             JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n ORDER BY k.i),
       m.amname, x.indexprs IS NOT NULL, x.indpred IS NOT NULL, pg_catalog.pg_get_indexdef(x.indexrelid),
       (SELECT pg_catalog.string_agg(pg_catalog.quote_ident(a.attname), ', ' ORDER BY k.i)
        FROM unnest(x.indkey::int2[]) WITH ORDINALITY k(n, i)
        JOIN pg_catalog.pg_attribute a ON a.attrelid = x.indrelid AND a.attnum = k.n)
FROM pg_catalog.pg_index x JOIN pg_catalog.pg_class i ON i.oid = x.indexrelid
JOIN pg_catalog.pg_am m ON m.oid = i.relam
WHERE x.indrelid = %s
  AND NOT EXISTS (SELECT 1 FROM pg_catalog.pg_constraint c WHERE c.conindid = x.indexrelid) ORDER BY 1"""
_TABLES = """
SELECT n.nspname, c.relname, c.relkind, c.reltuples FROM pg_catalog.pg_class c
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
  AND NOT COALESCE(c.relispartition, false) AND (%s::text IS NULL OR n.nspname = %s) ORDER BY 1, 2"""


def find(session: Session, path: Path) -> int | None:
    """The oid of a table or view; a lone name is looked up on the search path. No other database can be seen."""
    if len(path) > 2 and path[:-2] != (session.info.dbname,):
        return None
    name = ".".join('"' + part.replace('"', '""') + '"' for part in path[-2:])
    found = session.execute("SELECT pg_catalog.to_regclass(%s)::oid::int8", [name]).fetchone()
    return found[0] if found else None


def table_list(session: Session, schema: str | None) -> list[TableEntry]:
    """Tables and views that are not the system's; partitions belong to their parent."""
    return [
        TableEntry(namespace, name, _KINDS[kind], int(rows) if kind in "rp" and rows >= 0 else None)  # type: ignore[arg-type]
        for namespace, name, kind, rows in session.execute(_TABLES, [schema, schema]).fetchall()
    ]


def columns_of(session: Session, what: int | str, dialect: str) -> tuple[ColumnSpec, ...]:
    """The columns of a table (its oid) or of a query (its text, which is planned and not run)."""
    if isinstance(what, int):
        found = session.execute(_COLUMNS, [what]).fetchall()
        types = _types(session, [(row[1], row[2]) for row in found], dialect)
        return tuple(
            ColumnSpec(
                row[0],
                type_,
                row[3],
                None if row[8] or row[7] else row[4],
                "always" if row[5] == "a" else "default" if row[5] == "d" or row[8] else "",
                row[6],
                declared,
                bool(row[7]),
                counting=Counting() if row[9] is None else Counting(*row[9:14]),
                term=row[4] if row[7] else None,
            )
            for row, (type_, declared) in zip(found, types, strict=True)
        )
    cursor = session.execute(f"SELECT * FROM ({what}) AS described LIMIT 0".encode())
    result = cursor.pgresult
    assert result is not None
    pairs = [(result.ftype(index), result.fmod(index)) for index in range(result.nfields)]
    names = [(result.fname(index) or b"").decode() for index in range(result.nfields)]
    return tuple(
        ColumnSpec(name, type_, declared=declared)
        for name, (type_, declared) in zip(names, _types(session, pairs, dialect), strict=True)
    )


def remote_table(session: Session, path: Path, dialect: str) -> RemoteTable | None:
    """Everything about one table; None if there is none."""
    oid = find(session, path)
    if oid is None:
        return None
    head = session.execute(
        "SELECT n.nspname, c.relname, c.relkind, c.reltuples, pg_catalog.obj_description(c.oid, 'pg_class') "
        "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = %s",
        [oid],
    ).fetchone()
    assert head is not None
    if head[2] not in _KINDS:
        what = {"S": "a sequence", "i": "an index", "I": "an index", "c": "a type"}.get(head[2], "no table")
        raise MigrationError("42809", f'"{head[1]}" of schema "{head[0]}" is {what}')
    rows = int(head[3]) if head[3] >= 0 and head[2] in "rpm" else None
    keys = [_key(row) for row in session.execute(_KEYS, [oid]).fetchall()]
    others = []
    for label, unique, names, *rest in session.execute(_INDEXES, [oid]).fetchall():
        special = _special_index(label, unique, *rest)
        if special is None:
            keys.append(KeySpec("unique" if unique else "index", tuple(names), label))
        else:
            others.append(special)
    columns = columns_of(session, oid, dialect)
    own = tuple(OwnConstraint(*row) for row in session.execute(_CHECKS, [oid]).fetchall())
    spec = TableSpec((head[0], head[1]), columns, tuple(keys), head[4], dialect, tuple(others), own)
    statistics = {
        name: ColumnStatistics(nulls, _distinct(distinct, rows))
        for name, nulls, distinct in session.execute(
            "SELECT attname, null_frac, n_distinct FROM pg_catalog.pg_stats "
            "WHERE schemaname = %s AND tablename = %s AND NOT inherited",
            [head[0], head[1]],
        ).fetchall()
    }
    return RemoteTable(spec, _KINDS[head[2]], rows, statistics)  # type: ignore[arg-type]


def row_security(session: Session, clause: str) -> tuple[str, ...]:
    """A note where policies of row-level security may hide rows of what ``clause`` reads from the session's user.

    The server says so itself: it plans no such statement while ``row_security`` is off.
    """
    if session.info.server_version < ROW_SECURITY_SINCE or not session.execute(_ROW_SECURITY).fetchall():
        return ()
    session.execute("SAVEPOINT bough_policies")
    try:
        session.execute("SET LOCAL row_security = off")
        session.execute(f"EXPLAIN SELECT * FROM {clause}".encode())
    except psycopg.errors.InsufficientPrivilege as reason:
        if reason.diag.source_function != "check_enable_rls":
            return ()
        said = reason.diag.message_primary
        return (
            f'row-level security: only rows that policies show to "{session.info.user}" are read ({said})',
        )
    finally:
        session.execute("ROLLBACK TO SAVEPOINT bough_policies")
    return ()


def _special_index(
    name: str, unique: bool, kind: str, expressions: bool, partial: bool, text: str, columns: str
) -> IndexSpec | None:
    """An index whose columns do not say it all; None for the engine's default over plain columns."""
    rest = text.partition(f" USING {kind} ")[2]
    if kind == "btree" and rest == f"({columns})":
        return None
    what = (
        "partial"
        if partial
        else "expression"
        if expressions
        else kind
        if kind != "btree"
        else "special order"
    )
    return IndexSpec(name, unique, what, f"USING {kind} {rest}")


def _types(session: Session, pairs: list[tuple[int, int]], dialect: str) -> list[tuple[CanonicalType, str]]:
    if not pairs:
        return []
    oids, modifiers = [oid for oid, _ in pairs], [modifier for _, modifier in pairs]
    found = []
    for _, base, lists, labels, shown in session.execute(_TYPES, [oids, modifiers]).fetchall():
        type_ = enum(*labels) if labels else parse_type(base, dialect)
        if lists == 1 and shown == f"{base}[]" and type_.kind == "unknown":
            type_ = parse_type(shown, dialect)  # under the name that the column has
        else:
            for _ in range(lists):
                type_ = list_of(type_)
        found.append((type_, shown))
    return found


def _key(row: tuple[Any, ...]) -> KeySpec:
    kind, name, on_delete, on_update, columns, schema, table, referenced = row
    if kind != "f":
        return KeySpec("primary" if kind == "p" else "unique", tuple(columns), name)
    return KeySpec(
        "foreign",
        tuple(columns),
        name,
        (schema, table),
        tuple(referenced),
        ACTIONS.get(on_delete),
        ACTIONS.get(on_update),
    )


def _distinct(estimate: float, rows: int | None) -> int | None:
    """pg_stats counts below zero are a share of the rows."""
    if estimate > 0:
        return int(estimate)
    return None if rows is None or estimate == 0 else round(-estimate * rows)
