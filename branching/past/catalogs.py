"""Catalogs as they were after a line's n-th change: a log is replayed once, not at every question.

Rules:

1. A line's log only grows, so what was worked out stays right as long as what the line stands on is the same value.
2. A replay goes on from where the last one of the line ended, if that was not later, and copies a mapping once, not at
   every change.
3. So many are kept. Whoever asks for others pays a replay: never more than the length of the log.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TypeVar

from branching.manifest import Change
from branching.model import Catalog, Macro, Schema

_KEPT = 512
_K = TypeVar("_K")
_V = TypeVar("_V")


class PastCatalogs:
    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[int, int], tuple[Catalog, Catalog]] = OrderedDict()
        self._last: dict[
            int, tuple[Catalog, int, Catalog]
        ] = {}  # by line: what it stood on, its change, the catalog
        self._lock = threading.Lock()  # held for looking and keeping only

    def at(self, below: Catalog, line: int, seq: int, log: Sequence[tuple[int, Change]]) -> Catalog:
        """The catalog of ``line``, which stands on ``below``, after change ``seq`` of its ``log``."""
        end = _behind(log, seq)
        if end == 0:
            return below
        with self._lock:
            kept = self._kept.get((line, seq))
            if kept is not None and kept[0] is below:
                self._kept.move_to_end((line, seq))
                return kept[1]
            last = self._last.get(line)
        start, catalog = 0, below
        if last is not None and last[0] is below and last[1] <= seq:
            start, catalog = _behind(log, last[1]), last[2]
        catalog = replayed(catalog, (change for _, change in log[start:end]))
        with self._lock:
            self._last[line] = below, seq, catalog
            self._kept[line, seq] = below, catalog
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            while len(self._last) > _KEPT:
                del self._last[next(iter(self._last))]
        return catalog


def _behind(log: Sequence[tuple[int, Change]], seq: int) -> int:
    """How many changes of a log are not later than ``seq``."""
    return bisect_right(log, seq, key=lambda entry: entry[0])


def replayed(catalog: Catalog, changes: Iterable[Change]) -> Catalog:
    """``catalog`` after ``changes``."""
    schemas, relations, macros = dict(catalog.schemas), dict(catalog.relations), dict(catalog.macros)
    changed = False
    for change in changes:
        item, changed = change.item, True
        if isinstance(item, Schema):
            _put(schemas, item.name, item, change.dropped)
        elif isinstance(item, Macro):
            _put(macros, (item.schema, item.name), item, change.dropped)
        else:
            _put(relations, (item.schema, item.name), item, change.dropped)
    if not changed:
        return catalog
    return replace(
        catalog,
        schemas=MappingProxyType(schemas),
        relations=MappingProxyType(relations),
        macros=MappingProxyType(macros),
    )


def _put(mapping: dict[_K, _V], key: _K, item: _V, dropped: bool) -> None:
    if dropped:
        mapping.pop(key, None)
    else:
        mapping[key] = item
