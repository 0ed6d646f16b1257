"""Queries over pg_catalog and information_schema, answered for a branch.

A tree goes through the rules in this order: names and operators (``repairs``), casts and subscripts, calls
and reg* types (``calls``), the columns of the result, and last the relations themselves, which become the
stored ones of the branch's epoch (``relations``) or constants of the session (``session``). Everything before
the last step still sees Postgres' own names, because kinds are inferred from them.

Schema ``main``: a row of information_schema or pg_namespace says ``public``, as Postgres' clients expect.
HatiData's clients know the default schema as ``main`` and compare with that word, so in a statement that
compares anything with the constant ``'main'`` every row says ``main`` instead. Both never occur together.
"""

from __future__ import annotations

from dataclasses import dataclass

import sqlglot
from sqlglot import exp

from branching.errors import BoughError
from branching.model import Catalog
from proxy.catalog import repairs
from proxy.catalog.branches import with_branches
from proxy.catalog.calls import Calls
from proxy.catalog.context import Context, Executor
from proxy.catalog.functions import LOOKUP_SCHEMA, TEMPLATES
from proxy.catalog.kinds import (
    REG,
    function_name,
    is_cte,
    kind_of,
    result_types,
    sources,
    system_relation,
    type_kind,
)
from proxy.catalog.listings import LOOKUPS
from proxy.catalog.relations import Epoch, Lease, Store
from proxy.catalog.session import constants, settings_case
from proxy.catalog.sets import put, table_function, zipped
from proxy.catalog.shapes import relations

_SESSION_FUNCTIONS = frozenset(TEMPLATES) | {
    "current_setting", "set_config", "current_schemas", "pg_typeof", "_pg_expandarray", "aclexplode",
    "pg_partition_ancestors",
}  # fmt: skip
_CATALOG_COLUMNS = ("catalog_name", "table_catalog", "udt_catalog", "constraint_catalog", "sequence_catalog",
    "specific_catalog", "routine_catalog", "unique_constraint_catalog", "object_catalog", "domain_catalog_",
    "type_udt_catalog", "trigger_catalog", "event_object_catalog", "view_catalog")  # fmt: skip
_SCHEMA_COLUMNS = frozenset({"schema_name", "table_schema", "constraint_schema", "sequence_schema",
    "routine_schema",
    "unique_constraint_schema", "nspname", "schemaname", "object_schema", "specific_schema"})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Rewritten:
    """A statement ready for the engine. Keep it until its rows are read: it holds the relations in place.

    ``types`` are the declared Postgres types of the result columns (None where the engine's own is right, an
    empty list where they are not known). ``only_catalog``: it reads nothing of the user's, so it may run
    outside the session's transaction, where relations loaded a moment ago are sure to be visible.
    """

    tree: exp.Expr
    types: tuple[str | None, ...]
    only_catalog: bool
    leases: tuple[Lease, ...]


def mentions_catalog(tree: exp.Expr) -> bool:
    """Whether a statement needs ``SystemCatalog.rewrite``: it names a system relation, function or type."""
    for node in tree.walk():
        if isinstance(node, exp.Table):
            if node.db.lower() in ("pg_catalog", "information_schema") or system_relation(node):
                return True
        elif isinstance(node, (exp.Anonymous, exp.Func)):
            if (function_name(node) or "") in _SESSION_FUNCTIONS:
                return True
        elif isinstance(node, exp.Cast):
            if (kind_of(node) or "").removesuffix("[]") in REG | {"oid", "name", '"char"'}:
                return True
        elif isinstance(node, exp.Column) and not node.table and not node.this.quoted:
            if node.name.lower() in ("user", "current_role", "session_user", "current_catalog"):
                return True
        elif isinstance(node, (exp.ObjectIdentifier, exp.Operator)) or (
            isinstance(node, exp.Dot) and node.this.name.lower() in ("pg_catalog", "information_schema")
        ):
            return True
    return False


class SystemCatalog:
    """pg_catalog and information_schema of one engine; one instance serves all its sessions."""

    def __init__(self, executor: Executor, *, keep: int = 8) -> None:
        self._store = Store(executor, keep)

    def rewrite(self, tree: exp.Expr, catalog: Catalog, context: Context) -> Rewritten:
        """``tree`` as it must be run for a session on the branch that ``catalog`` describes."""
        refuse(tree)
        epoch, lease = self._store.epoch(catalog, context)
        calls = Calls(epoch.snapshot, context)
        tree = _named(repairs.unqualify(repairs.fold(tree.copy())))
        types = tuple(result_types(tree))
        says_main = _says_main(tree)
        tree = repairs.operators(repairs.columns(tree))
        tree = repairs.brackets(tree)
        tree = repairs.casts(tree)
        tree = _faces(calls.rewrite(tree), calls)
        leases = [lease]
        only_catalog = self._place(tree, epoch, context, says_main, leases)
        return Rewritten(tree, types, only_catalog, tuple(leases))

    def session_functions(self, tree: exp.Expr, catalog: Catalog, context: Context) -> Rewritten:
        """A translated statement that names no system relation: only its calls of catalog functions change."""
        epoch, lease = self._store.epoch(catalog, context)
        types = tuple(result_types(tree))
        tree = Calls(epoch.snapshot, context).rewrite(tree.copy())
        leases = [lease]
        only_catalog = self._place(tree, epoch, context, False, leases)
        return Rewritten(tree, types, only_catalog, tuple(leases))

    def _place(
        self, tree: exp.Expr, epoch: Epoch, context: Context, says_main: bool, leases: list[Lease]
    ) -> bool:
        """Put stored relations in the place of system ones; whether nothing of the user's is read besides."""
        only_catalog = True
        for table in list(tree.find_all(exp.Table, exp.Lateral)):
            table_function(table)
        for unnest in list(tree.find_all(exp.Unnest)):
            zipped(unnest)
        for table in list(tree.find_all(exp.Table)):
            is_lookup = table.db == LOOKUP_SCHEMA and table.name in LOOKUPS
            name = "lookup." + table.name if is_lookup else system_relation(table)
            if name is not None:
                put(table, self._relation(name, epoch, context, says_main, leases))
            elif isinstance(table.this, exp.Identifier):
                only_catalog = only_catalog and is_cte(table, table.name) and not table.db
        return only_catalog

    def _relation(
        self, name: str, epoch: Epoch, context: Context, says_main: bool, leases: list[Lease]
    ) -> exp.Expr:
        query = constants(name, context)
        if query is None:
            stored = self._store.table(epoch, name, context)
            replaced = _replacements(name, context, says_main)
            if not replaced:
                return stored
            rows, held = with_branches(name, stored.sql("duckdb"), context, self._store)
            leases += held
            query = f"SELECT * REPLACE ({replaced}) FROM {rows}"
        return exp.Subquery(this=_parse(query))


def refuse(tree: exp.Expr) -> None:
    """Raise for a statement that would change the catalog, keep a part of it, or read what is not in it."""
    if isinstance(
        tree, (exp.Insert, exp.Update, exp.Delete, exp.Merge, exp.Drop, exp.Alter, exp.TruncateTable)
    ):
        every = isinstance(tree, (exp.Drop, exp.TruncateTable))
        for target in list(tree.find_all(exp.Table)) if every else [tree.this]:
            table = target.this if isinstance(target, exp.Schema) else target
            name = system_relation(table) if isinstance(table, exp.Table) else None
            if name is not None:
                raise BoughError(
                    "42501",
                    f'permission denied: "{name.partition(".")[2]}" is a system catalog',
                    detail="System catalogs are computed from the branch; nothing can be written to them.",
                    hint="Use CREATE, ALTER, DROP or COMMENT on the object itself.",
                )
    for table in tree.find_all(exp.Table):
        name = system_relation(table)
        if name is not None and isinstance(tree, exp.Create) and tree.kind == "VIEW":
            raise BoughError(
                "0A000",
                f'a view over the system catalog "{name.partition(".")[2]}" is not supported',
                detail="Its rows belong to one state of one branch.",
                hint="Query the catalog directly, or keep its rows with CREATE TABLE … AS.",
            )
        of_system = table.db.lower() in ("pg_catalog", "information_schema")
        if name is None and of_system and isinstance(table.this, exp.Identifier):
            raise BoughError(
                "42P01",
                f'relation "{table.db.lower()}.{table.name}" does not exist',
                detail="The catalog has the relations of PostgreSQL 15.",
                hint="SELECT relname FROM pg_catalog.pg_class lists them.",
            )


def _parse(text: str) -> exp.Expr:
    return sqlglot.parse_one(text, read="duckdb")


def _replacements(name: str, context: Context, says_main: bool) -> str:
    columns = relations().get(name, {})
    found = []
    if name.startswith("information_schema."):
        database = exp.Literal.string(context.database).sql("duckdb")
        for column in columns:
            if column in _CATALOG_COLUMNS:
                if column == "unique_constraint_catalog":
                    found.append(
                        f"CASE WHEN unique_constraint_name IS NOT NULL THEN {database} END AS {column}"
                    )
                else:
                    found.append(f"{database} AS {column}")
    if says_main:
        for column in columns:
            if column in _SCHEMA_COLUMNS:
                found.append(f"CASE {column} WHEN 'public' THEN 'main' ELSE {column} END AS {column}")
    if name == "pg_catalog.pg_settings" and (case := settings_case(context)) is not None:
        found.append(f"{case} AS setting")
    return ", ".join(found)


def _says_main(tree: exp.Expr) -> bool:
    for node in tree.find_all(exp.Literal):
        if node.is_string and node.name == "main":
            parent = node.parent
            while isinstance(parent, (exp.Cast, exp.Paren, exp.Tuple, exp.Array, exp.Any)):
                parent = parent.parent
            if isinstance(parent, (exp.EQ, exp.NEQ, exp.In, exp.Like)):
                sides = [column.name.lower() for column in parent.find_all(exp.Column)]
                if any(side in _SCHEMA_COLUMNS for side in sides):
                    return True
    return False


def _named(tree: exp.Expr) -> exp.Expr:
    """Give every unnamed result column the name that Postgres gives it."""
    for select in tree.find_all(exp.Select):
        for item in list(select.expressions):
            if not isinstance(item, (exp.Alias, exp.Column)) and not item.is_star:
                item.replace(exp.alias_(item.copy(), _figured(item)[0], quoted=True))
    return tree


def _figured(node: exp.Expr) -> tuple[str, bool]:
    """The name Postgres figures for an expression, and whether it is better than a type's or ``case``."""
    if isinstance(node, (exp.Column, exp.Alias)):
        return node.alias_or_name, True
    if isinstance(node, (exp.Paren, exp.Bracket)):
        return _figured(node.this)
    if isinstance(node, exp.Dot):
        return node.name, True
    if isinstance(node, exp.Cast):
        name, good = _figured(node.this)
        return (
            (name, True)
            if good
            else ((type_kind(node.to) or "?column?").strip('"').removesuffix("[]"), False)
        )
    if isinstance(node, exp.Case):
        default = node.args.get("default")
        name, good = _figured(default) if default is not None else ("", False)
        return (name, True) if good else ("case", False)
    if isinstance(node, exp.Subquery) and isinstance(node.this, exp.Select):
        return _figured(node.this.expressions[0])[0], True
    if isinstance(node, exp.Array):
        return "array", True
    if isinstance(node, exp.Exists):
        return "exists", True
    if isinstance(node, (exp.Predicate, exp.Connector)):
        return "?column?", False
    name = (function_name(node) or "").partition("(")[0]
    if isinstance(node, exp.Trim):
        name = {"LEADING": "ltrim", "TRAILING": "rtrim"}.get(node.text("position").upper(), "btrim")
    return (name, True) if name else ("?column?", False)


def _faces(tree: exp.Expr, calls: Calls) -> exp.Expr:
    """Show reg* types and vectors in the result as Postgres prints them."""
    branches = [tree]
    while branches:
        query = branches.pop()
        if isinstance(query, exp.SetOperation):
            branches.extend((query.this, query.expression))
        elif isinstance(query, exp.Subquery):
            branches.append(query.this)
        elif isinstance(query, exp.Select):
            _expand_star(query)
            for item in list(query.expressions):
                kind = kind_of(item) or ""
                if not item.is_star and (
                    kind.removesuffix("[]") in REG or kind in ("int2vector", "oidvector")
                ):
                    name = item.alias_or_name or "?column?"
                    made = calls.face(item)
                    if made is not item:
                        item.replace(exp.alias_(made.copy(), name, quoted=True))
    return tree


def _expand_star(query: exp.Select) -> None:
    """A star over system relations with reg* or vector columns is written out, so those can be shown."""
    items: list[exp.Expr] = []
    changed = False
    for item in query.expressions:
        wanted = item.table.lower() if isinstance(item, exp.Column) else ""
        found: list[exp.Expr] = []
        for source in sources(query) if item.is_star else ():
            if wanted and source.alias_or_name.lower() != wanted:
                continue
            name = system_relation(source) if isinstance(source, exp.Table) else None
            if name is None:
                found = []
                break
            found += [exp.column(c, source.alias_or_name, quoted=True) for c in relations()[name]]
        changed = changed or bool(found)
        items.extend(found or [item])
    if changed:
        query.set("expressions", items)
