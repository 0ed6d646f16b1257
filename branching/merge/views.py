"""Views that fell with a table which the merge puts another in the place of."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from branching.ddl.changes import Ddl
from branching.errors import BoughError
from branching.model import Catalog, View
from branching.resolve import parse


def put_back(ddl: Ddl, before: Iterable[View], source: Catalog) -> None:
    """Once the tables stand: what of ``before`` is gone from the target although the source has it just the same."""
    ddl.scope.physical = ddl.transaction.physical
    for view in before:
        wanted = source.find(view.schema, view.name)
        if not isinstance(wanted, View) or wanted.sql != view.sql or ddl.catalog.find(view.schema, view.name):
            continue
        try:
            ddl.scope.resolve(parse(view.sql).copy())
        except BoughError:
            continue  # what it reads has really gone
        ddl.put(replace(wanted, id=view.id))
