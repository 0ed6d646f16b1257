"""Names to storage: replaces every relation of a statement by what the session's branch sees of it.

Rules:

1. A statement arrives as a sqlglot tree in the engine's dialect with logical names; it leaves naming storage only.
2. A name is, in this order: a CTE in scope, a temporary table of the session, a relation of the branch's catalog found
   through the search path. Anything else is refused; nothing is passed on for the engine to look up.
3. What the text assumes of the moment (a base nobody has written since the fork, a table the branch never touched) is
   collected in ``assumptions``. The caller asks ``still_true`` once its snapshot is taken. What another branch is like
   is no assumption: a text that reads one (``elsewhere``) is planned each time.
4. Nodes marked ``meta['physical']`` were placed by the front end (catalog relations) and stay as they are.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching import macros, names, overlay
from branching.ddl.model import Name
from branching.direct import read_directly
from branching.engine.base import LOGICAL_DIALECT
from branching.errors import BoughError
from branching.lines import Line
from branching.model import DEFAULT_SCHEMA, Catalog, Relation, Sequence, Table, View
from branching.numbers import Numbers, meant
from branching.past import moments as timetravel
from branching.past import rows as past_rows
from branching.past.moments import Reached
from branching.physical import Physical
from branching.setval import only_forward
from branching.watch import Plain, Untouched, Watch

if TYPE_CHECKING:
    from branching.database import Database

DIALECT = LOGICAL_DIALECT
_VIEW_DEPTH = 32
_FILE = re.compile(r"\.(csv|tsv|json|jsonl|ndjson|parquet)(\.gz|\.zst)?$", re.IGNORECASE)
_SEQUENCE_FUNCTIONS = frozenset({"nextval", "currval", "setval"})


@dataclass(slots=True)
class Scope:
    """What one statement may see, at one instant."""

    database: Database
    line: Line
    catalog: Catalog
    physical: Physical
    search_path: tuple[str, ...] = (DEFAULT_SCHEMA,)
    temporary: Mapping[str, Table] = field(default_factory=dict)
    database_names: frozenset[str] = frozenset()
    files: bool = False  # a name that looks like a file is one, and has been granted
    assumptions: set[Plain | Untouched | Reached] = field(default_factory=set)
    schema_branch: Callable[[str], str | None] = lambda _schema: None  # the branch a schema's name stands for
    elsewhere: bool = False  # it names another branch
    timestamp: Callable[[str], datetime] | None = None  # what a time written without a zone means
    at: Reached | None = None  # everything is read as of then
    watch: Watch | None = None  # is told what is read
    numbers: Numbers | None = None  # what the session has drawn
    drew: list[tuple[str, bool]] = field(default_factory=list)  # counters it draws from (True) or sets

    def means_the_same(self, now: Scope) -> bool:
        """Whether names mean in ``now`` what they meant here: a text planned here is then right there."""
        return (
            self.line is now.line
            and self.catalog is now.catalog
            and self.physical is now.physical
            and self.search_path == now.search_path
            and self.temporary is now.temporary
        )

    def still_true(self) -> bool:
        """Whether every assumption still holds; asked after the engine's snapshot was taken."""
        for assumed in self.assumptions:
            if isinstance(assumed, Reached):
                if not assumed.still_true(self.database):
                    return False
            elif isinstance(assumed, Plain):
                if not self.database.unchanged_since(assumed.base, assumed.line.record.fork):
                    return False
            elif assumed.table in assumed.line.touched:
                return False
        return True

    # -- names ----------------------------------------------------------------------------------------------

    def schemas(self) -> tuple[str, ...]:
        """The search path, without schemas that do not exist."""
        return tuple(name for name in map(schema_name, self.search_path) if name in self.catalog.schemas)

    def schema_name(self, name: str) -> str:
        return schema_name(name)

    def is_temporary(self, name: Name) -> bool:
        """Whether the name means a temporary table of the session."""
        return name.catalog is None and names.may_be_temporary(name.schema) and name.name in self.temporary

    def meant(self, name: Name) -> Name:
        """The name, its schema replaced by the branch that it stands for, where it stands for one."""
        if name.schema is None or name.catalog is not None or name.schema in self.catalog.schemas:
            return name
        branch = self.schema_branch(name.schema)
        return name if branch is None else Name(name.name, DEFAULT_SCHEMA, branch)

    def find(self, name: Name) -> tuple[Line, Catalog, Relation] | None:
        """The relation of that name, its line and that line's catalog."""
        line, catalog, name = self.line, self.catalog, self.meant(name)
        if name.catalog is not None and not self._is_here(name.catalog):
            line = self.database.line(name.catalog)
            catalog = line.catalog
            self.elsewhere = self.elsewhere or line is not self.line
        if name.schema is not None:
            found = catalog.find(schema_name(name.schema), name.name)
            return (line, catalog, found) if found else None
        for schema in self.schemas() if catalog is self.catalog else (DEFAULT_SCHEMA,):
            if found := catalog.find(schema, name.name):
                return line, catalog, found
        return None

    def _is_here(self, catalog: str) -> bool:
        return catalog == self.line.name or (
            catalog in self.database_names and not self.database.has_branch(catalog)
        )

    def target(self, name: Name) -> Table:
        """The table a statement writes to. It must be the session's own branch's."""
        found = self.find(name)
        if found is None:
            raise undefined(name)
        line, _, relation = found
        if line is not self.line:
            raise BoughError(
                "0A000",
                f'cannot write to branch "{line.name}" from branch "{self.line.name}"',
                hint=f"BRANCH SWITCH {names.quote(line.name)} first.",
            )
        if isinstance(relation, View):
            raise BoughError(
                "55000",
                f'cannot write to view "{relation.name}"',
                detail="Views are not updatable.",
                hint="Write to the tables the view reads.",
            )
        if not isinstance(relation, Table):
            raise BoughError("42809", f'"{relation.name}" is not a table')
        return relation

    # -- relations ------------------------------------------------------------------------------------------

    def relation_sql(self, table: Table, line: Line, *, hidden: bool = False) -> str:
        """SQL of what ``line`` sees of ``table``; remembers what that assumes."""
        if self.at is not None:
            if line is not self.line:
                raise BoughError("0A000", f'AS OF does not reach through a view to branch "{line.name}"')
            return past_rows.rows_sql(self.database, self.physical, self.at, table, hidden=hidden)
        if self.watch is not None:
            self.watch.see(line, table.id)
        if line.is_trunk:
            return overlay.visible(table, line, self.physical, plain=True, touched=False, hidden=hidden)
        touched = table.id in line.touched
        if not touched:
            self.assumptions.add(Untouched(line, table.id))
        return overlay.visible(
            table, line, self.physical, plain=self.plain(table, line), touched=touched, hidden=hidden
        )

    def plain(self, table: Table, line: Line) -> bool:
        """Whether the table's base may be read without looking at versions; remembers the assumption."""
        base = table.storage.base
        if base is None:
            return True
        plain = self.database.unchanged_since(base, line.record.fork)
        if plain:
            self.assumptions.add(Plain(line, base))
        return plain

    def resolve(self, tree: exp.Expr, *, skip: exp.Expr | None = None, depth: int = 0) -> exp.Expr:
        """``tree``, changed in place, with every relation but ``skip`` replaced. Returns the new root."""
        tree = macros.expand(tree, self)
        read_directly(tree, lambda node: self._trunk_table(node, skip))
        tables = [node for node in tree.find_all(exp.Table) if node is not skip]
        for node in tables:
            if node.meta.get("physical") or not isinstance(node.this, exp.Identifier):
                continue
            if node.text("catalog") == names.CATALOG_DATABASE:
                continue
            if not node.args.get("db") and _is_cte(node):
                continue
            replacement = self._replacement(node, depth)
            if node is tree:
                tree = replacement
            else:
                node.replace(replacement)
        for column in tree.find_all(exp.Column):
            if column.name.startswith(names.HIDDEN_PREFIX):
                raise BoughError("42703", f'column "{column.name}" does not exist')
            if column.args.get("db"):
                column.set("db", None)
                column.set("catalog", None)
        self._sequences(tree)
        return tree if self.watch is None else self.watch.look(tree, nested=depth > 0)

    def _trunk_table(self, node: exp.Table, skip: exp.Expr | None) -> tuple[Table, str] | None:
        """A table of the trunk and its name in storage, where the session reads it as it is."""
        if (
            node is skip
            or self.at is not None
            or not self.line.is_trunk
            or (not node.args.get("db") and _is_cte(node))
        ):
            return None
        name = table_name(node)
        if self.is_temporary(name):
            return None
        if name.catalog == names.CATALOG_DATABASE:
            return None
        found = self.find(name)
        if found is None or not isinstance(found[2], Table) or not found[0].is_trunk:
            return None
        table = found[2]
        base = self.physical.bases.get(table.storage.base or 0)
        if base is None or any(base.columns.get(column.id) != column.name for column in table.columns):
            return None
        if self.watch is not None:
            self.watch.see(self.line, table.id)
        return table, base.sql

    def _replacement(self, node: exp.Table, depth: int) -> exp.Expr:
        name = table_name(node)
        if (version := node.args.get("version")) is not None:
            return self._at(name, timetravel.moment_of(version, self.timestamp)).resolve_one(node, depth)
        if self.is_temporary(name):
            return _raw(f"SELECT * FROM {names.temporary(name.name)}", node)
        found = self.find(name)
        if found is None:
            files = self.files and self.database.engine.capabilities.reads_files
            if files and name.schema is None and _FILE.search(name.name):
                if self.watch is not None:
                    self.watch.drawn = True
                return node
            raise undefined(name)
        line, catalog, relation = found
        if isinstance(relation, View):
            return self._view(relation, line, catalog, node, depth)
        if isinstance(relation, Sequence):
            if self.watch is not None:
                self.watch.drawn = True
            return _raw(
                f"SELECT currval({names.literal(relation.physical)}) AS last_value, true AS is_called", node
            )
        return _raw(self.relation_sql(relation, line), node)

    def _at(self, name: Name, moment: timetravel.Moment) -> Scope:
        """The scope of the line that ``name`` is on, as of a moment."""
        line, name = self.line, self.meant(name)
        if name.catalog is not None and not self._is_here(name.catalog):
            line = self.database.line(name.catalog)
            self.elsewhere = self.elsewhere or line is not self.line
        reached = timetravel.reach(self.database, self.database.loaded(line), moment)
        self.assumptions.add(reached)
        return replace(
            self, line=line, catalog=timetravel.catalog_of(self.database, reached), temporary={}, at=reached
        )

    def resolve_one(self, node: exp.Table, depth: int) -> exp.Expr:
        """What a table with AS OF is replaced by, in the scope of that moment."""
        node.set("version", None)
        return self._replacement(node, depth)

    def _view(self, view: View, line: Line, catalog: Catalog, node: exp.Table, depth: int) -> exp.Expr:
        if depth >= _VIEW_DEPTH:
            raise BoughError("54001", f'view "{view.name}" refers to itself or is nested too deeply')
        inner = parse(view.sql).copy()
        scope = self
        if line is not self.line:
            scope = replace(self, line=line, catalog=catalog, search_path=(DEFAULT_SCHEMA,), temporary={})
        text = self.database.engine.text(scope.resolve(inner, depth=depth + 1))
        if view.columns:
            listed = names.columns([column.name for column in view.columns])
            text = f"SELECT {listed} FROM ({text}) AS _view({listed})"
        return _raw(text, node)

    def _sequences(self, tree: exp.Expr) -> None:
        for call in list(tree.find_all(exp.Anonymous)):
            if self.numbers is not None and self.numbers.answers(call, self):
                continue
            if call.name.lower() not in _SEQUENCE_FUNCTIONS or call.meta.get("physical"):
                continue
            sequence = meant(call, self)
            if sequence is None:
                call.replace(exp.cast(exp.null(), "BIGINT"))
                continue
            self.drew.append((sequence.physical, call.name.lower() == "nextval"))
            call.expressions[0].replace(exp.Literal.string(sequence.physical))
            call.meta["physical"] = True
            self.elsewhere = only_forward(call, sequence, self.database) or self.elsewhere

    def default_sql(self, text: str | None) -> str | None:
        """A stored default, its sequences naming storage."""
        if text is None:
            return None
        scope = replace(self, watch=None)  # a definition keeps its ``now()``
        return self.database.engine.text(scope.resolve(parse(text).copy()))

    def with_storage_defaults(self, table: Table) -> Table:
        """The table as the engine must be told of it."""
        columns = tuple(replace(column, default=self.default_sql(column.default)) for column in table.columns)
        return replace(table, columns=columns)

    def named(self, text: str) -> tuple[Line, Catalog, Relation] | None:
        """The relation that a name in a string means, as ``find`` gives it."""
        table = exp.to_table(text, dialect="postgres")
        name = table_name(table)
        return self.find(Name(_fold(table.this), name.schema and _fold(table.args["db"]), name.catalog))

    def sequence(self, text: str) -> Sequence:
        """The sequence a ``nextval('…')`` means."""
        found = self.named(text)
        if found is None or not isinstance(found[2], Sequence):
            raise BoughError("42P01", f'relation "{text}" does not exist')
        return found[2]


def _fold(identifier: exp.Expr) -> str:
    if isinstance(identifier, exp.Identifier) and not identifier.args.get("quoted"):
        return identifier.name.lower()
    return identifier.name


def schema_name(name: str) -> str:
    """``main`` is what HatiData's clients call the default schema."""
    return DEFAULT_SCHEMA if name == "main" else name


def table_name(node: exp.Table) -> Name:
    return Name(node.name, node.text("db") or None, node.text("catalog") or None)


def undefined(name: Name) -> BoughError:
    return BoughError("42P01", f'relation "{name}" does not exist')


@lru_cache(maxsize=1024)
def parse(sql: str) -> exp.Expr:
    """The tree of a stored definition. Shared: copy before changing."""
    return sqlglot.parse_one(sql, dialect=DIALECT)


def _raw(sql: str, node: exp.Table) -> exp.Expr:
    """``sql`` in the place of ``node``, under its alias, with its sample and joins."""
    if isinstance(node.parent, exp.Summarize | exp.Describe):
        return exp.Var(this=sql)  # these take no alias
    alias = node.args.get("alias")
    if alias is None or not alias.this:
        named = exp.TableAlias(this=exp.to_identifier(node.name, quoted=True))
        if alias is not None:
            named.set("columns", alias.args.get("columns"))
        alias = named
    subquery = exp.Subquery(this=exp.Var(this=sql), alias=alias)
    for key in ("sample", "joins", "pivots", "laterals"):
        if value := node.args.get(key):
            subquery.set(key, value)
    return subquery


def _is_cte(node: exp.Table) -> bool:
    """Whether an unqualified table name is a CTE that is in scope at the node."""
    name = node.name.lower()
    below: exp.Expr = node
    parent = node.parent
    while parent is not None:
        with_ = parent.args.get("with_")
        if isinstance(with_, exp.With):
            for cte in with_.expressions:
                inside = below is with_ and _contains(cte, node)
                if inside and not with_.args.get("recursive"):
                    break  # only the CTEs before this one
                if cte.alias.lower() == name:
                    return True
                if inside:
                    break
        below, parent = parent, parent.parent
    return False


def _contains(ancestor: exp.Expr, node: exp.Expr) -> bool:
    while node is not ancestor and node.parent is not None:
        node = node.parent
    return node is ancestor
