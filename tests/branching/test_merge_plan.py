"""The pure part of a merge: definitions, three ways."""

from __future__ import annotations

from dataclasses import replace

import pytest

from branching.errors import BoughError
from branching.merge.plan import BRANCH, TARGET, Policy, merge_table, plan_catalogs, strategy_of
from branching.merge.schema import alterations
from branching.model import Catalog, Column, Constraint, Index, Schema, Table, View

pytestmark = pytest.mark.sampled

ID, NAME, AGE = (
    Column(1, "id", "INTEGER", not_null=True),
    Column(2, "name", "VARCHAR"),
    Column(3, "age", "INTEGER"),
)
KEY = Constraint("t_pkey", "p", ("id",))
BASE = Table(10, "public", "t", (ID, NAME, AGE), (KEY,))


def with_column(table: Table, identifier: int, **changes: object) -> Table:
    columns = tuple(replace(c, **changes) if c.id == identifier else c for c in table.columns)  # type: ignore[arg-type]
    return replace(table, columns=columns)


def without(table: Table, identifier: int) -> Table:
    return replace(table, columns=tuple(c for c in table.columns if c.id != identifier))


def test_changes_of_both_sides_meet_property_by_property() -> None:
    source = replace(with_column(BASE, 2, name="title", default="'x'"), comment="of the branch")
    target = with_column(with_column(BASE, 2, not_null=True), 3, type="BIGINT")
    merged = merge_table(BASE, source, target, Policy()).merged
    assert merged is not None
    assert merged.comment == "of the branch"
    assert merged.columns[1] == replace(NAME, name="title", default="'x'", not_null=True)
    assert merged.columns[2].type == "BIGINT"


@pytest.mark.parametrize(("strategy", "kind"), [(BRANCH, "BIGINT"), (TARGET, "DOUBLE")])
def test_a_strategy_decides_only_the_property_in_conflict(strategy: str, kind: str) -> None:
    source = with_column(BASE, 3, type="BIGINT", default="1")
    target = with_column(BASE, 3, type="DOUBLE", not_null=True)
    plan = merge_table(BASE, source, target, Policy(strategy))
    assert [item.what for item in plan.conflicts] == ["column age: type"]
    assert plan.merged is not None
    assert plan.merged.columns[2] == replace(AGE, type=kind, default="1", not_null=True)


def test_a_rename_is_no_drop_and_its_key_follows() -> None:
    source = replace(with_column(BASE, 1, name="key"), constraints=(replace(KEY, columns=("key",)),))
    target = replace(BASE, columns=(*BASE.columns, Column(4, "new", "DATE")))
    plan = merge_table(BASE, source, target, Policy())
    assert plan.conflicts == () and plan.merged is not None
    assert [c.name for c in plan.merged.columns] == ["key", "name", "age", "new"]
    assert plan.merged.key == ("key",)


def test_a_dropped_column_goes_and_takes_its_index() -> None:
    index = Index(7, "i", ("age",))
    base = replace(BASE, indexes=(index,))
    plan = merge_table(base, without(BASE, 3), base, Policy())
    assert plan.merged is not None
    assert [c.id for c in plan.merged.columns] == [1, 2] and plan.merged.indexes == ()


def test_dropped_here_and_altered_there_is_a_conflict() -> None:
    target = with_column(BASE, 3, type="BIGINT")
    plan = merge_table(BASE, without(BASE, 3), target, Policy(TARGET))
    assert len(plan.conflicts) == 1 and plan.merged is not None
    assert plan.merged.columns[2].type == "BIGINT"


def test_tables_new_dropped_and_made_twice() -> None:
    new = replace(BASE, id=20, name="n")
    twice = replace(BASE, id=21, name="twice")
    mine = replace(BASE, id=22, name="twice", columns=tuple(replace(c, id=c.id + 50) for c in BASE.columns))
    other = replace(mine, columns=mine.columns[:1])
    base = Catalog().with_object(BASE)
    source = Catalog().with_object(new).with_object(twice)
    plan = plan_catalogs(base, source, base.with_object(mine), Policy())
    assert {(p.shown.name, p.kind) for p in plan.tables} == {
        ("n", "create"),
        ("twice", "rows"),
        ("t", "drop"),
    }
    plan = plan_catalogs(base, source, base.with_object(other), Policy())
    conflicting = [p for p in plan.tables if p.conflicts]
    assert [p.shown.name for p in conflicting] == ["twice"], (
        "a conflict in one table does not block the others"
    )


def test_views_and_schemas_follow() -> None:
    view = View(30, "public", "v", "SELECT 1 AS a")
    base = Catalog().with_object(view)
    changed = replace(view, sql="SELECT 2 AS a")
    schema = Schema(31, "s")
    plan = plan_catalogs(base, base.with_object(changed).with_object(schema), base, Policy())
    assert set(plan.changes) == {(changed, False), (schema, False)}
    assert plan_catalogs(base, base.without(view), base, Policy()).changes == ((view, True),)
    theirs = base.with_object(replace(view, sql="SELECT 3 AS a"))
    plan = plan_catalogs(base, base.with_object(changed), theirs, Policy())
    assert len(plan.conflicts) == 1 and plan.changes == ()


def test_nothing_to_alter_where_nothing_differs() -> None:
    assert alterations(BASE, BASE) == []
    assert len(alterations(BASE, with_column(BASE, 2, name="x"))) == 1


def test_strategies_by_name() -> None:
    assert strategy_of("target_wins") == strategy_of("MAIN_WINS") == TARGET
    with pytest.raises(BoughError) as caught:
        strategy_of("ours")
    assert caught.value.sqlstate == "22023"
    policy = Policy("abort", {"public.t": BRANCH, "u": TARGET})
    assert [policy.of("public", name) for name in "tuv"] == [BRANCH, TARGET, "abort"]
