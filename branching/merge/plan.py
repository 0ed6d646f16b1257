"""Three-way merge of catalogs: what becomes of every table, column and object. Pure: values in, values out.

Rules:

1. Everything is matched by identity, never by name: a rename is not a drop and an add. Only a table that is new on
   both sides is matched by its name.
2. Per property: changed on one side → that change; on both to the same → fine; on both to different → a conflict,
   which a strategy decides. Nothing else is ever up to the strategy.
3. A conflict in one table says nothing about any other.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from branching.ddl.edit import mentions, rename_in_expression
from branching.merge.columns import Merge, merge_columns
from branching.merge.model import (
    ABORT,
    BRANCH,
    MANUAL,
    TARGET,
    CatalogPlan,
    MergeResult,
    MergeRow,
    Policy,
    SchemaConflict,
    TablePlan,
    strategy_of,
)
from branching.model import Catalog, Column, Constraint, Index, Macro, Object, Schema, Table


def plan_catalogs(base: Catalog, source: Catalog, target: Catalog, policy: Policy) -> CatalogPlan:
    """The plan for merging ``source`` into ``target``, both come from ``base``."""
    bases = {table.id: table for table in base.tables()}
    sources = {table.id: table for table in source.tables()}
    targets = {table.id: table for table in target.tables()}
    by_name = {(table.schema, table.name): table for table in targets.values()}
    plans: list[TablePlan] = []
    for identifier, theirs in sources.items():
        ours = targets.get(identifier)
        before = bases.get(identifier)
        if ours is None and before is None:
            ours = by_name.get((theirs.schema, theirs.name))
            if ours is not None and (ours.id in sources or ours.id in bases):
                ours = None
            plans.append(_new_table(theirs, ours, policy))
        elif ours is None:
            assert before is not None
            plans.append(_gone_on_target(before, theirs))
        else:
            plans.append(merge_table(before, theirs, ours, policy))
    for identifier, before in bases.items():
        ours = targets.get(identifier)
        if identifier not in sources and ours is not None:
            plans.append(TablePlan("drop", before, None, ours, None))
    changes, conflicts = _plan_objects(base, source, target, policy)
    plans.sort(key=lambda plan: (plan.shown.schema, plan.shown.name))
    return CatalogPlan(tuple(plans), tuple(changes), tuple(conflicts))


def _new_table(source: Table, same_name: Table | None, policy: Policy) -> TablePlan:
    """A table the branch made; the target may have made one of the same name."""
    if same_name is None:
        return TablePlan("create", None, source, None, source)
    if shape_of(source) == shape_of(same_name):
        return TablePlan("rows", None, renumbered(source, same_name), same_name, same_name)
    strategy = policy.of(source.schema, source.name)
    conflict = SchemaConflict("table", None, _columns_text(source), _columns_text(same_name))
    merged = source if strategy == BRANCH else same_name
    return TablePlan("create" if strategy == BRANCH else "keep", None, source, same_name, merged, (conflict,))


def _gone_on_target(base: Table, source: Table) -> TablePlan:
    """Dropped on the target. Whether rows changed on the branch is for the caller to find."""
    if replace(source, storage=base.storage) == base:
        return TablePlan("keep", base, source, None, None)
    conflict = SchemaConflict("table", base.name, _columns_text(source), None)
    return TablePlan("keep", base, source, None, None, (conflict,))


def shape_of(table: Table) -> tuple[object, ...]:
    """What two tables made apart must share to count as the same."""
    return tuple((c.name.lower(), c.type) for c in table.columns), table.key


def renumbered(table: Table, like: Table) -> Table:
    """``table`` with the column ids of the table of the same shape."""
    columns = tuple(
        replace(mine, id=theirs.id) for mine, theirs in zip(table.columns, like.columns, strict=True)
    )
    return replace(table, columns=columns)


def _columns_text(table: Table) -> str:
    return f"{table.name}({', '.join(f'{c.name} {c.type}' for c in table.columns)})"


# -- one table --------------------------------------------------------------------------------------------------


def merge_table(base: Table | None, source: Table, target: Table, policy: Policy) -> TablePlan:
    """The table that has the changes of both sides."""
    if base is None:  # came to both in the same way: by an earlier merge
        base = target if source.id == target.id else source
    base, source = _aligned(base, source, target)
    merge = Merge(policy.of(target.schema, target.name))
    schema, name = merge.choose(
        "name",
        (base.schema, base.name),
        (source.schema, source.name),
        (target.schema, target.name),
    )
    columns = merge_columns(merge, base, source, target)
    merged = Table(
        target.id,
        schema,
        name,
        columns,
        _merge_constraints(merge, base, source, target, columns),
        _merge_indexes(merge, base, source, target, columns),
        merge.choose("comment", base.comment, source.comment, target.comment),
        target.storage,
    )
    return TablePlan("rows", base, source, target, merged, tuple(merge.conflicts))


def _aligned(base: Table, source: Table, target: Table) -> tuple[Table, Table]:
    """Columns that both sides added under one name with one type are one column: the target's."""
    here = {column.id for column in target.columns}
    there = {column.id for column in source.columns}
    added = {(c.name.lower(), c.type): c.id for c in target.columns if c.id not in there}
    same = {
        c.id: added[c.name.lower(), c.type]
        for c in source.columns
        if c.id not in here and (c.name.lower(), c.type) in added
    }
    if not same:
        return base, source

    def renumber(table: Table) -> Table:
        return replace(table, columns=tuple(replace(c, id=same.get(c.id, c.id)) for c in table.columns))

    return renumber(base), renumber(source)


def _by_ids(table: Table, columns: tuple[str, ...], like: Table | None = None) -> tuple[object, ...]:
    """Column names as ids, and expressions in the names of ``like``, so that a rename changes nothing."""
    found = {column.name: column.id for column in table.columns}
    return tuple(found[name] if name in found else _plain(name, table, like or table) for name in columns)


def _renamed(table: Table, columns: tuple[str, ...], merged: tuple[Column, ...]) -> tuple[str, ...] | None:
    """The columns' names in the merged table; None if one is gone."""
    ids = {column.name: column.id for column in table.columns}
    after = {column.id: column.name for column in merged}
    names: list[str] = []
    for name in columns:
        if name not in ids:  # an expression
            if any(c.id not in after and mentions(name, c.name) for c in table.columns):
                return None
            names.append(_follow_renames(name, table, merged) or name)
        elif ids[name] not in after:
            return None
        else:
            names.append(after[ids[name]])
    return tuple(names)


def _merge_constraints(
    merge: Merge, base: Table, source: Table, target: Table, columns: tuple[Column, ...]
) -> tuple[Constraint, ...]:
    def known(table: Table) -> dict[str, Constraint]:
        return {item.name: item for item in table.constraints}

    def identity(table: Table, item: Constraint | None) -> object:
        if item is None:
            return None
        return (item.kind, _by_ids(table, item.columns), _plain(item.expression, table, base), item.ref_schema,
                item.ref_table, item.ref_columns, item.on_delete, item.on_update, item.deferrable)  # fmt: skip

    bases, sources, targets = known(base), known(source), known(target)
    found: list[Constraint] = []
    for name in dict.fromkeys([*targets, *sources]):
        before, theirs, ours = bases.get(name), sources.get(name), targets.get(name)
        old, left, right = identity(base, before), identity(source, theirs), identity(target, ours)
        chosen = merge.choose(f"constraint {name}", old, left, right)
        if chosen is None:
            continue
        table, item = (source, theirs) if chosen == left and chosen != right else (target, ours)
        assert item is not None
        if any(other.kind == "p" for other in found) and item.kind == "p":
            continue
        listed = _renamed(table, item.columns, columns)
        if listed is not None:
            expression = _follow_renames(item.expression, table, columns)
            comment = _comment(merge, f"constraint {name}", before, theirs, ours)
            found.append(replace(item, columns=listed, expression=expression, comment=comment))
    return tuple(found)


def _follow_renames(text: str | None, table: Table, columns: tuple[Column, ...]) -> str | None:
    after = {column.id: column.name for column in columns}
    for column in table.columns:
        new = after.get(column.id)
        if new is not None and new != column.name:
            text = rename_in_expression(text, column.name, new)
    return text


def _plain(text: str | None, table: Table, like: Table) -> str | None:
    """A CHECK's expression in the column names of ``like``."""
    return None if text is None else _follow_renames(text, table, like.columns)


def _merge_indexes(
    merge: Merge, base: Table, source: Table, target: Table, columns: tuple[Column, ...]
) -> tuple[Index, ...]:
    bases = {item.id: item for item in base.indexes}
    sources = {item.id: item for item in source.indexes}
    targets = {item.id: item for item in target.indexes}
    taken = {item.name for item in target.indexes}
    found: list[Index] = []
    for identifier in dict.fromkeys([*targets, *sources]):
        theirs, ours = sources.get(identifier), targets.get(identifier)
        if ours is None and theirs is not None and identifier not in bases and theirs.name in taken:
            continue
        before = bases.get(identifier)
        chosen: Any = merge.choose(
            f"index {(ours or theirs or before or Index(0, '', ())).name}",
            *(
                index and (index.name, index.unique, _by_ids(table, index.columns, base))
                for table, index in ((base, before), (source, theirs), (target, ours))
            ),
        )
        if chosen is None:
            continue
        table, item = (target, ours) if ours is not None else (source, theirs)
        assert item is not None
        if theirs is not None and chosen[0] == theirs.name and (ours is None or chosen[0] != ours.name):
            table, item = source, theirs
        listed = _renamed(table, item.columns, columns)
        if listed is not None:
            comment = _comment(merge, f"index {item.name}", before, theirs, ours)
            found.append(replace(item, columns=listed, comment=comment))
    return tuple(found)


def _comment(
    merge: Merge,
    what: str,
    before: Constraint | Index | None,
    theirs: Constraint | Index | None,
    ours: Constraint | Index | None,
) -> str | None:
    if theirs is None or ours is None:
        there = theirs or ours
        return there.comment if there is not None else None
    old = before.comment if before is not None else None
    text: str | None = merge.choose(f"comment of {what}", old, theirs.comment, ours.comment)
    return text


# -- everything that has no rows --------------------------------------------------------------------------------


def _plan_objects(
    base: Catalog, source: Catalog, target: Catalog, policy: Policy
) -> tuple[list[tuple[Object, bool]], list[tuple[Object, SchemaConflict]]]:
    changes: list[tuple[Object, bool]] = []
    conflicts: list[tuple[Object, SchemaConflict]] = []
    for before, theirs, ours in (
        (dict(base.schemas), dict(source.schemas), dict(target.schemas)),
        (_plain_relations(base), _plain_relations(source), _plain_relations(target)),
        (dict(base.macros), dict(source.macros), dict(target.macros)),
    ):
        for key in dict.fromkeys([*theirs, *before]):
            old: Any = before.get(key)
            new: Any = theirs.get(key)
            mine: Any = ours.get(key)
            if _meaning(new) in (_meaning(old), _meaning(mine)):
                continue
            if _meaning(mine) != _meaning(old):
                item = new or mine
                conflicts.append(
                    (
                        item,
                        SchemaConflict(type(item).__name__.lower(), *map(_definition_text, (old, new, mine))),
                    )
                )
                schema = getattr(item, "schema", item.name)
                if policy.of(schema, item.name) != BRANCH:
                    continue
            changes.append((new, False) if new is not None else (mine, True))
    return changes, conflicts


def _plain_relations(catalog: Catalog) -> dict[tuple[str, str], Object]:
    return {key: item for key, item in catalog.relations.items() if not isinstance(item, Table)}


def _meaning(item: Any) -> Any:
    """What counts when two definitions are compared: not the ids of things made apart."""
    if item is None:
        return None
    if isinstance(item, Schema):
        return item.name, item.comment
    if isinstance(item, Macro):
        return replace(item, id=0)
    if hasattr(item, "sql"):
        return item.sql, tuple((c.name, c.type) for c in item.columns), item.comment
    return replace(item, id=0, physical="") if hasattr(item, "physical") else item


def _definition_text(item: Any) -> str | None:
    if item is None:
        return None
    return str(getattr(item, "sql", None) or getattr(item, "body", None) or item.name)


__all__ = [
    "ABORT", "BRANCH", "MANUAL", "TARGET", "CatalogPlan", "MergeResult", "MergeRow", "Policy", "SchemaConflict",
    "TablePlan", "merge_table", "plan_catalogs", "shape_of", "strategy_of",
]  # fmt: skip
