"""What a statement mentions that the session must put in place: found once per text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from proxy.catalog import mentions_catalog
from proxy.session import functions, views
from proxy.session.remote.relations import first_parts
from proxy.sql.prepare import Prepared
from proxy.sql.statements import Kind

WRITES = frozenset({Kind.INSERT, Kind.UPDATE, Kind.DELETE, Kind.MERGE})


@dataclass(frozen=True, slots=True)
class Analysis:
    """What a statement mentions that the session must put in place, found once per text."""

    catalog: bool = False
    views: bool = False
    commands: bool = False
    calls: bool = False
    sleeps: bool = False
    places: frozenset[str] = frozenset()  # first parts of qualified relations: perhaps datasources
    catalogs: frozenset[str] = frozenset()  # those of three-part names: branches or datasources

    @property
    def is_plain(self) -> bool:
        return not (self.catalog or self.views or self.commands or self.calls)


def analysis(prepared: Prepared) -> Analysis:
    """Looks through the statement's tree."""
    tree = prepared.parsed.tree if prepared.catalog else prepared.tree
    if tree is None:
        return Analysis()
    return Analysis(
        prepared.catalog or mentions_catalog(tree),
        bool(views.mentioned(tree)),
        bool(functions.commands_in(tree)),
        bool(functions.session_calls(tree)),
        functions.sleep_seconds(tree) is not None,
        first_parts(tree),
        first_parts(tree, parts=3),
    )


def tag_of(prepared: Prepared) -> Callable[[int], str]:
    """The command tag, from the number of rows."""
    if prepared.kind is Kind.INSERT:
        return lambda rows: f"INSERT 0 {rows}"
    if prepared.kind in WRITES:
        return lambda rows: f"{prepared.kind.value} {rows}"
    return lambda rows: f"SELECT {rows}"
