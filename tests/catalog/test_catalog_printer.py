"""Checks and defaults, printed as PostgreSQL 15 printed them (``printed.json`` was recorded from one)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from branching.model import Column, Constraint, Index, Table, View
from proxy.catalog import deparse

PRINTED = json.loads((Path(__file__).parent / "printed.json").read_text(encoding="utf-8"))
COLUMNS = tuple(
    Column(number, name, engine, declared=declared)
    for number, (name, _, engine, declared) in enumerate(PRINTED["columns"])
)


@pytest.mark.parametrize(("expression", "pretty", "plain"), PRINTED["checks"])
def test_a_check_is_printed_as_postgres_prints_it(expression: str, pretty: str, plain: str) -> None:
    assert deparse.check_text(expression, COLUMNS, pretty=True) == pretty
    assert deparse.check_text(expression, COLUMNS, pretty=False) == plain


@pytest.mark.parametrize(("declared", "engine", "expression", "printed"), PRINTED["defaults"])
def test_a_default_is_printed_as_postgres_prints_it(
    declared: str, engine: str, expression: str, printed: str
) -> None:
    assert deparse.default_text(expression, engine, declared) == printed


def test_a_default_of_null_is_none() -> None:
    assert not deparse.has_default("NULL")
    assert not deparse.has_default(None)
    assert deparse.has_default("0")


def test_constraints_and_indexes_quote_what_needs_quotes() -> None:
    table = Table(
        1, "public", "Odd", (Column(1, "select", "INTEGER"), Column(2, "a b", "VARCHAR")),
        (Constraint("p", "p", ("select",)),
         Constraint("f", "f", ("a b",), None, "sales", "t", ("x",), on_delete="n", on_update="c")),
    )  # fmt: skip
    assert deparse.constraint_text(table, table.constraints[0], pretty=True) == 'PRIMARY KEY ("select")'
    assert deparse.constraint_text(table, table.constraints[1], pretty=True) == (
        'FOREIGN KEY ("a b") REFERENCES sales.t(x) ON UPDATE CASCADE ON DELETE SET NULL'
    )
    index = Index(2, "i", ("lower(name)", "a + 1", "a b"), unique=True)
    assert deparse.index_text(table, index, pretty=False) == (
        'CREATE UNIQUE INDEX i ON public."Odd" USING btree (lower(name), (a + 1), "a b")'
    )


def test_a_plain_view_is_laid_out_as_postgres_does() -> None:
    view = View(1, "public", "v", "SELECT id, carrier FROM public.flights WHERE id > 3")
    assert deparse.view_text(view) == (
        " SELECT flights.id,\n    flights.carrier\n   FROM flights\n  WHERE flights.id > 3;"
    )
    assert deparse.updatable(view)
    assert not deparse.updatable(View(2, "public", "w", "SELECT count(*) FROM t"))
