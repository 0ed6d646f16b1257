"""Tables of datasources in the queries of ``local`` that stand in a command: TRANSFER, RECONCILE, QUERY and the tools.

Rules:

1. A query keeps their names: by its text the journal, a watermark and a resume know it. Only what is sent to the engine
   has rows in their place.
2. They are read once, when the query is first asked for rows, for all readers of the command: what is profiled, moved
   and compared are the same rows. Describing the query reads none, unless a type depends on them.
3. They are let go of with the command. A resume reads them anew, so a branch that is read beside them is not pinned:
   what has moved is compared row by row.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlglot
from sqlglot import exp

from branching.names import HIDDEN_PREFIX
from migration.errors import MigrationError
from proxy.session import views
from proxy.session.remote.scans import RemoteScans

if TYPE_CHECKING:
    from proxy.session.session import Session

_PLACE = f"{HIDDEN_PREFIX}place_"


class _Query:
    """One query: its text with marks for the tables elsewhere, and what stands for each mark."""

    def __init__(self, scans: RemoteScans, text: str, marks: list[str]) -> None:
        self.scans, self.text, self.marks = scans, text, marks
        self.shapes: list[str] | None = None
        self.rows: list[str] | None = None

    def fill(self, *, with_rows: bool) -> dict[str, str]:
        """The SQL that stands for each mark."""
        if self.rows is None and not with_rows and self.shapes is None:
            self.shapes = self.scans.shapes()
        if self.rows is None and (with_rows or self.scans.depends_on_rows):
            self.rows = self.scans.fill()
        return dict(zip(self.marks, self.rows or self.shapes or (), strict=True))


class RemotePlaces:
    """Those of one end of a command; ``close`` lets go of the rows."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._queries: dict[str, _Query] = {}
        self._lock = threading.Lock()

    @property
    def in_use(self) -> bool:
        """Whether a query that was read names a table elsewhere."""
        return bool(self._queries)

    def know(self, query: str) -> None:
        """Looks for tables of datasources in a query; one that holds a known query is known with it."""
        text = query.lower()
        if not any(item.name.lower() in text for item in self._session.service.remote.datasources):
            return
        with self._lock:
            if any(known in query for known in self._queries):
                return
            tree = sqlglot.parse_one(query, dialect="duckdb")
            scans = RemoteScans(self._session, tree, (), within=True)
            if scans.relations:
                self._queries[query] = _marked(scans, tree, sum(len(q.marks) for q in self._queries.values()))

    def placed(self, text: str, *, with_rows: bool = True) -> exp.Expr:
        """A statement of the engine's dialect as a tree, with rows (or none of their shape) in the tables' places."""
        with self._lock:
            found: dict[str, str] = {}
            for query, item in self._queries.items():
                if query in text:
                    text = text.replace(query, item.text)
                    found |= item.fill(with_rows=with_rows)
        tree = sqlglot.parse_one(text, dialect="duckdb")
        for node in list(tree.find_all(exp.Table)) if found else ():
            if node.name in found:
                views.replace(node, found[node.name])
        return tree

    def interrupt(self) -> None:
        """Stops what is being read. From any thread."""
        for item in tuple(self._queries.values()):
            with suppress(MigrationError):
                item.scans.interrupt()

    def close(self) -> None:
        """Lets go of the rows."""
        for item in self._queries.values():
            item.scans.close()
        self._queries.clear()


def _marked(scans: RemoteScans, tree: exp.Expr, first: int) -> _Query:
    for number, relation in enumerate(scans.relations, first):
        relation.node.meta[_PLACE] = f"{_PLACE}{number}"
    shown = tree.copy()
    for node in list(shown.find_all(exp.Table)):
        if (mark := node.meta.get(_PLACE)) is None:
            continue
        if node.args.get("alias") is None or not node.args["alias"].this:
            columns = node.args["alias"].args.get("columns") if node.args.get("alias") is not None else None
            name = exp.to_identifier(node.name, quoted=True)
            node.set("alias", exp.TableAlias(this=name, columns=columns))
        for part in ("catalog", "db"):
            node.set(part, None)
        node.set("this", exp.to_identifier(mark, quoted=True))
    return _Query(scans, shown.sql("duckdb"), [relation.node.meta[_PLACE] for relation in scans.relations])
