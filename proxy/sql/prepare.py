"""One call from text to something executable, behind a bounded cache.

Trees that come from here are shared between callers: treat them as immutable and copy before changing
(``typed_parameters`` and ``branching`` copy). The cache is keyed by the text alone, because nothing here
looks at a catalog, a branch or a setting; an error is not cached.
"""

from __future__ import annotations

import re
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlglot import exp

from branching.ddl.model import Ddl
from branching.errors import BoughError
from proxy.sql.guard import GuardContext, guard
from proxy.sql.parse import Parsed, parse
from proxy.sql.split import Source
from proxy.sql.statements import Kind, Payload, Utility
from proxy.sql.translate import translate


@dataclass(frozen=True, slots=True)
class Prepared:
    """A statement read, translated and (without file access) found harmless."""

    parsed: Parsed
    tree: exp.Expr | None  # for Connection.execute, in the duckdb dialect; None where payload says it all
    catalog: bool = False  # it reads system relations: the catalog layer answers from ``parsed.tree``

    @property
    def kind(self) -> Kind:
        return self.parsed.kind

    @property
    def tag(self) -> str:
        return self.parsed.tag

    @property
    def payload(self) -> Payload | None:
        return self.parsed.payload

    @property
    def statement(self) -> exp.Expr | Ddl | None:
        """What ``Connection.execute`` takes, or None for a statement of the session itself."""
        if self.tree is not None:
            return self.tree
        payload = self.parsed.payload
        return None if payload is None or isinstance(payload, Utility) else payload

    @property
    def parameter_count(self) -> int:
        return self.parsed.parameter_count

    @property
    def returns_rows(self) -> bool:
        return self.parsed.returns_rows

    @property
    def is_silent(self) -> bool:
        """Whether it has no rows to return, whatever the catalog holds."""
        return not self.returns_rows if self.parsed.tree is not None else self.statement is not None

    @property
    def notices(self) -> tuple[str, ...]:
        return self.parsed.notices


_SYSTEM_SCHEMAS = ("pg_catalog", "information_schema")
_REG_TYPES = re.compile(r"^reg(class|type|proc|procedure|namespace|role|oper|operator)$", re.IGNORECASE)


def mentions_catalog(tree: exp.Expr) -> bool:
    """Whether a tree reads a relation of pg_catalog or information_schema, or casts to a ``reg`` type."""
    for table in tree.find_all(exp.Table):
        if table.db.lower() in _SYSTEM_SCHEMAS or (not table.db and table.name.lower().startswith("pg_")):
            return True
    return any(_REG_TYPES.match(cast.to.name) for cast in tree.find_all(exp.Cast))


def prepared_of(parsed: Parsed) -> Prepared:
    """What was parsed, translated as far as it can be without a catalog."""
    if parsed.tree is None:
        return Prepared(parsed, None)
    catalog = mentions_catalog(parsed.tree)
    try:
        return Prepared(parsed, translate(parsed), catalog)
    except BoughError:
        if not catalog:
            raise
        return Prepared(parsed, None, catalog)


class StatementCache:
    """The last ``size`` statements prepared, by text. Safe to share between threads."""

    def __init__(self, size: int = 2000, longest: int = 20_000) -> None:
        self._size = size
        self._longest = longest
        self._entries: OrderedDict[str, Prepared] = OrderedDict()
        self._lock = threading.Lock()
        self.hits = 0
        self.misses = 0

    def prepare(self, source: Source | str, context: GuardContext | None = None) -> Prepared:
        """``source`` ready to execute. Guarded in ``context`` each time, since rights may have changed."""
        if isinstance(source, str):
            source = Source(source)
        with self._lock:
            found = self._entries.get(source.text)
            if found is not None:
                self._entries.move_to_end(source.text)
                self.hits += 1
            else:
                self.misses += 1
        if found is None:
            parsed = parse(source)
            found = prepared_of(parsed)
            if len(source.text) <= self._longest:
                with self._lock:
                    self._entries[source.text] = found
                    while len(self._entries) > self._size:
                        self._entries.popitem(last=False)
        guard(found.parsed, found.parsed.tree if found.catalog else found.tree, context or GuardContext())
        inner = getattr(found.payload, "inner", None) or getattr(found.payload, "query", None)
        if isinstance(inner, Source):  # of PREPARE, DECLARE, EXPLAIN, COPY: refused here, not when it runs
            self.prepare(inner, context)
        return found

    def clear(self) -> None:
        """Forget everything."""
        with self._lock:
            self._entries.clear()


_CACHE = StatementCache()


def prepare(source: Source | str, context: GuardContext | None = None) -> Prepared:
    """``source`` ready to execute, through the process-wide cache."""
    return _CACHE.prepare(source, context)
