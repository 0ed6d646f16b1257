"""Prepared statements, portals and SQL cursors: what a session keeps between messages."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from proxy.commands import Command
from proxy.session.outcome import Columns, Outcome
from proxy.sql.given_rows import ParameterRows
from proxy.sql.prepare import Prepared
from proxy.sql.split import Source


@dataclass(slots=True)
class PreparedStatement:
    """Parsed once; run many times. Exactly one of ``prepared`` and ``command`` is set, or none (empty text)."""

    name: str
    source: Source | None
    prepared: Prepared | None = None
    command: Command | None = None
    types: tuple[int, ...] = ()  # OIDs of the parameters
    trees: dict[tuple[str | None, ...], Any] = field(default_factory=dict)  # typed trees, by parameter types
    columns: Columns | None = None
    described: Any = None  # the catalog that ``columns`` were found in
    told: Columns | None = None  # what the client was last told of it
    read_in: Any = None  # the catalog and temporary tables that it was read in; None: any
    rows: ParameterRows | None = None  # ``prepared`` is the first row of so many
    given: tuple[int, ...] = ()  # the types the client gave for ``rows``


@dataclass(slots=True)
class Portal:
    """A statement bound to values; holds its rows once it runs."""

    name: str
    statement: PreparedStatement
    values: list[Any] = field(default_factory=list)
    formats: tuple[int, ...] = ()
    outcome: Outcome | None = None
    completed: bool = False
    told: Columns | None = None  # what the client was told of it


@dataclass(slots=True)
class SqlCursor:
    """DECLARE … CURSOR: rows are read forward."""

    name: str
    outcome: Outcome
    hold: bool
