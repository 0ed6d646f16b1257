"""Which relations of a statement are tables of datasources, and which of their columns it needs.

Rules:

1. ``a.s.t`` is a branch's table where a branch (or this database) has the name ``a``, else a datasource's. ``a.t`` is a
   schema's table where the branch has a schema ``a``, else the datasource's, in its default schema. ``local`` is the
   session's branch.
2. A column is needed if its name stands anywhere in the statement, or a star could mean it. That is more than an exact
   answer at times, and never less.
3. Datasources are only read this way: what would write to one or keep a reference to it is refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING

from sqlglot import exp

from branching.ddl import model as ddl_model
from branching.errors import BoughError
from branching.names import CATALOG_DATABASE, may_be_temporary
from branching.resolve import schema_name
from migration.connectors.base import Path
from migration.datasources.datasource import LOCAL
from migration.dialects.quoting import spelled
from migration.errors import MigrationError
from migration.model import ColumnSpec
from proxy.sql.rules.clauses import LOCKED

if TYPE_CHECKING:
    from proxy.session.session import Session

LOCKS_ELSEWHERE = "EXECUTE ON {datasource} AS $$ … $$ is a transaction of its own, whose locks end with it."
_NEVER = frozenset({"bough", "pg_catalog", "information_schema", CATALOG_DATABASE, ""})


@dataclass(frozen=True, slots=True)
class RemoteRelation:
    """A relation of a statement: its node, its datasource, its path there."""

    node: exp.Table
    datasource: str
    path: Path

    @property
    def label(self) -> str:
        return ".".join((self.datasource, *self.path))


def folded(node: exp.Expr | None) -> str:
    """A name as it is looked up."""
    if node is None:
        return ""
    return node.name if node.args.get("quoted") else node.name.lower()


def named(node: exp.Table) -> tuple[str, str]:
    """The schema and the name that a statement gives a relation."""
    return folded(node.args.get("db")), folded(node.this)


def alike(one: Mapping[str, str], other: Mapping[str, str]) -> dict[str, str]:
    """The columns that have the same type in both."""
    return {name: type_ for name, type_ in one.items() if other.get(name) == type_}


def first_parts(tree: exp.Expr, *, parts: int = 2) -> frozenset[str]:
    """What could be names of datasources: the first parts of relations' names that have so many parts or more."""
    found = {
        folded(node.args.get("catalog") or (node.args.get("db") if parts == 2 else None))
        for node in tree.find_all(exp.Table)
        if isinstance(node.this, exp.Identifier)
    }
    return frozenset(found - _NEVER)


def relations(session: Session, tree: exp.Expr) -> list[RemoteRelation]:
    """The tables of datasources that ``tree`` reads. ``local.`` is taken off where it stands. 0A000 for a write."""
    found = []
    for node in list(tree.find_all(exp.Table)):
        if not isinstance(node.this, exp.Identifier) or not (node.args.get("db") or node.args.get("catalog")):
            continue
        name = _datasource(session, node)
        if name == LOCAL:
            _unqualify(node)
        elif name is not None:
            if node is target(tree):
                raise BoughError(
                    "0A000",
                    f'cannot write to datasource "{name}" with this statement',
                    hint=f"EXECUTE ON {spelled(name)} AS $$ … $$, or TRANSFER … TO {spelled(name)}.schema.table.",
                )
            if node.args.get("version") is not None:
                raise BoughError("0A000", f'a table of datasource "{name}" has no AS OF')
            if _is_locked(node):
                raise BoughError(
                    "0A000",
                    f'FOR UPDATE and FOR SHARE cannot lock rows of datasource "{name}"',
                    detail="They are read before the statement runs, and nothing holds them over there.",
                    hint=LOCKS_ELSEWHERE.format(datasource=spelled(name)),
                )
            path = [folded(node.this)]
            if node.args.get("catalog") is not None:
                path.insert(0, folded(node.args["db"]))
            if isinstance(node.parent, exp.Schema | exp.Reference) and node.find_ancestor(exp.Reference):
                raise _no_reference(name, path)
            found.append(RemoteRelation(node, name, tuple(path)))
    return found


def _is_locked(node: exp.Expr) -> bool:
    """Whether FOR UPDATE means the relation: it does what stands in FROM, and in that of a subquery there."""
    name = node.alias_or_name
    select = node.find_ancestor(exp.Select)
    while select is not None:
        locked = select.meta.get(LOCKED)
        if locked is not None and (not locked or name in locked):
            return True
        holder = select.parent
        if not isinstance(holder, exp.Subquery) or not isinstance(holder.parent, exp.From | exp.Join):
            return False
        name, select = holder.alias_or_name, holder.find_ancestor(exp.Select)
    return False


def _no_reference(datasource: str, path: Sequence[str]) -> BoughError:
    there = ".".join(spelled(part) for part in (datasource, *path))
    return BoughError(
        "0A000",
        f'a foreign key cannot refer to a table of datasource "{datasource}"',
        hint=f"TRANSFER {there} TO {LOCAL}.{spelled(path[-1])} makes a table of it here.",
    )


def check_places(session: Session, names: Iterable[str]) -> None:
    """42704 for the first part of a three-part name that is no branch, no datasource and no name of this database."""
    connection, service = session.connection, session.service
    assert connection is not None
    for name in names:
        if (
            name not in connection.database_names
            and name != LOCAL
            and name not in service.remote.datasources
            and not service.database.has_branch(name)
        ):
            raise BoughError(
                "42704",
                f'there is no branch or datasource "{name}"',
                detail="The first of three parts of a relation's name is a branch, else a datasource.",
                hint="BRANCH LIST and SHOW DATASOURCES list them.",
            )


def _datasource(session: Session, node: exp.Table) -> str | None:
    catalog = node.args.get("catalog")
    return _meant(session, folded(catalog or node.args.get("db")), is_whole=catalog is not None)


def is_datasource(session: Session, name: str) -> bool:
    """Whether the first of two parts of a relation's name means ``local`` or a datasource."""
    return _meant(session, name, is_whole=False) is not None


def _meant(session: Session, name: str, *, is_whole: bool) -> str | None:
    """The datasource that the first part of a relation's name means; ``is_whole``: of three parts."""
    connection = session.connection
    assert connection is not None
    if name in _NEVER or (name != LOCAL and name not in session.service.remote.datasources):
        return None
    if not is_whole:
        is_here = (
            schema_name(name) in connection.catalog.schemas or connection.schema_branch(name) is not None
        )
        return None if is_here else name
    here = session.service.database.has_branch(name) or name in connection.database_names
    return None if here else name


def _unqualify(node: exp.Table) -> None:
    node.set("catalog" if node.args.get("catalog") is not None else "db", None)


def target(tree: exp.Expr) -> exp.Expr | None:
    """What a statement writes to."""
    if not isinstance(tree, exp.Insert | exp.Update | exp.Delete | exp.Merge | exp.Create):
        return None
    found: exp.Expr = tree.this
    written: exp.Expr = found.this if isinstance(found, exp.Schema) else found
    return written


def refuse_name(session: Session, name: ddl_model.Name, hint: str = "") -> None:
    """0A000 for a table of a datasource where only one of the branch can stand; ``hint`` has {there} for its
    name and {datasource} for where that is."""
    found = _meant(session, name.catalog or name.schema or "", is_whole=name.catalog is not None)
    if found is None or found == LOCAL:
        return
    there = ".".join(spelled(part) for part in (name.catalog, name.schema, name.name) if part is not None)
    raise BoughError(
        "0A000",
        f'"{name}" is a table of datasource "{found}", which this statement cannot work on',
        detail="Tables of datasources are read by SELECT; they are no tables of a branch.",
        hint=hint.format(there=there, datasource=spelled(found))
        or f"EXECUTE ON {spelled(found)} AS $$ … $$ sends a statement there; TRANSFER … TO {there} sends rows.",
    )


def _names(what: object) -> Iterator[tuple[ddl_model.Name, bool]]:
    """The relations that a statement names, and whether a foreign key does."""
    if isinstance(what, ddl_model.Name):
        yield what, False
    elif isinstance(what, tuple):
        for part in what:
            yield from _names(part)
    elif is_dataclass(what):
        refers = isinstance(what, ddl_model.ConstraintDefinition)
        for item in fields(what):
            for name, by_key in _names(getattr(what, item.name)):
                yield name, by_key or refers


def refuse_in_definition(session: Session, what: exp.Expr | ddl_model.Ddl) -> None:
    """0A000 where a definition names a table of a datasource, which is on no branch."""
    for name, by_key in _names(what):
        if by_key and (
            datasource := _meant(session, name.catalog or name.schema or "", is_whole=bool(name.catalog))
        ):
            path = [part for part in (name.schema if name.catalog else None, name.name) if part is not None]
            raise _no_reference(datasource, path)
        refuse_name(session, name)
    for action in what.actions if isinstance(what, ddl_model.AlterTable) else ():
        if isinstance(action, ddl_model.AddColumn):
            relations(session, action.column.copy())
    query: exp.Expr | None = None
    if isinstance(what, ddl_model.CreateView):
        query = what.query
    elif isinstance(what, ddl_model.CreateMacro):
        query = what.body
    if query is None:
        return
    for found in relations(session, query.copy()):
        raise BoughError(
            "0A000",
            f'a stored definition cannot read datasource "{found.datasource}"',
            detail=f"It names {found.label}, which is not on any branch.",
            hint=f"CREATE TABLE … AS SELECT … FROM {found.label}, or make the view over there.",
        )


def check_names(relation: RemoteRelation, columns: Sequence[ColumnSpec]) -> None:
    """HV004 for names that the engine takes for one."""
    seen: dict[str, str] = {}
    for column in columns:
        other = seen.setdefault(column.name.lower(), column.name)
        if other != column.name:
            raise MigrationError(
                "HV004",
                f'columns "{other}" and "{column.name}" of {relation.label} differ by case alone',
                hint=f"Rename one: QUERY {spelled(relation.datasource)} AS $$ SELECT … $$.",
                column=column.name,
            )


def refuse_temporary(session: Session, tree: exp.Expr, what: str) -> None:
    """0A000 for a temporary table: it is the session's alone, and one of the branch under its name is not meant."""
    named = {cte.alias.lower() for cte in tree.find_all(exp.CTE)}
    for node in tree.find_all(exp.Table):
        if isinstance(node.this, exp.Identifier) and may_be_temporary(folded(node.args.get("db")) or None):
            name = folded(node.this)
            if name not in named and node.args.get("catalog") is None:
                refuse_temporary_name(session, name, what)


def refuse_temporary_name(session: Session, name: str, what: str) -> None:
    """The same for a name alone."""
    if session.connection is not None and name in session.connection.temporary:
        raise BoughError(
            "0A000",
            f'{what} cannot read the temporary table "{name}"',
            detail="It belongs to this session, and the command has sessions of its own.",
            hint=f"CREATE TABLE … AS SELECT * FROM {spelled(name)} first. "
            f"A table of the branch is {LOCAL}.{spelled(name)}.",
        )


def needed_columns(tree: exp.Expr, node: exp.Table, columns: Sequence[str]) -> tuple[str, ...]:
    """Those of a relation's columns that the statement may read."""
    holder = node.find_ancestor(exp.Select, exp.Update, exp.Delete, exp.Merge)
    if holder is None or _takes_all(tree, holder, node):
        return tuple(columns)
    mentioned = {
        item.name.lower() for item in tree.find_all(exp.Identifier) if not isinstance(item.parent, exp.Table)
    }
    alias = node.alias_or_name.lower()
    known = {column.lower() for column in columns}
    if alias not in known and any(
        item.name.lower() == alias and not item.table for item in tree.find_all(exp.Column)
    ):
        return tuple(columns)  # the row itself
    return tuple(column for column in columns if column.lower() in mentioned)


def _takes_all(tree: exp.Expr, holder: exp.Expr, node: exp.Table) -> bool:
    if (node.args.get("alias") is not None and node.args["alias"].args.get("columns")) or node.args.get(
        "pivots"
    ):
        return True
    if any(join.args.get("method") for join in holder.args.get("joins") or ()):  # NATURAL
        return True
    if any(call.name.lower() == "columns" for call in tree.find_all(exp.Anonymous, exp.Columns)):
        return True
    if isinstance(tree, exp.Summarize | exp.Describe | exp.Pivot):
        return True
    return any(_is_star_of(item, node) for item in _stars(holder))


def _stars(holder: exp.Expr) -> Iterable[exp.Expr]:
    """The stars of this statement or SELECT itself that stand for columns."""
    for star in holder.find_all(exp.Star):
        inside = star.find_ancestor(exp.Select)
        if (inside is holder or not isinstance(holder, exp.Select)) and not isinstance(
            star.parent, exp.Count
        ):
            yield star


def _is_star_of(star: exp.Expr, node: exp.Table) -> bool:
    holder = star.parent
    if not isinstance(holder, exp.Column) or not holder.table:
        return True
    return holder.table.lower() == node.alias_or_name.lower()
