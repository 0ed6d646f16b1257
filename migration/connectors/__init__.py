"""Connectors: one module for each kind of engine, imported when a datasource of it is first opened.

>>> from migration.datasources.datasource import datasource
>>> with connect(datasource("s", "sqlite", {"path": ":memory:"})).reader() as reader:
...     reader.fetch("SELECT 1 AS one").to_pylist()
[{'one': 1}]
"""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterable, Mapping
from contextlib import suppress

import pyarrow as pa

from migration.connectors.base import Connector
from migration.datasources.datasource import Datasource
from migration.errors import MigrationError

__all__ = ["Connector", "connect", "load_ahead"]


def connect(datasource: Datasource, environment: Mapping[str, str] | None = None) -> Connector:
    """The connector of a datasource; HV000 names the extra to install. Connecting happens on first use."""
    kind = datasource.kind
    try:
        module = importlib.import_module(f"migration.connectors.{kind.connector}")
    except ImportError as reason:
        raise MigrationError(
            "HV000",
            f"a {kind.name} datasource needs a package that is not installed",
            detail=str(reason),
            hint=f"pip install 'bough[{kind.extra}]'",
        ) from None
    connector: Connector = module.connect(datasource, datasource.filled(environment))
    return connector


def load_ahead(datasources: Iterable[Datasource]) -> threading.Thread | None:
    """Imports on a thread of its own what these datasources will need, so that the first who uses one does not wait for
    it. None where there are none."""
    modules = {f"migration.connectors.{item.kind.connector}" for item in datasources}
    if not modules:
        return None
    loading = threading.Thread(target=_load, args=(sorted(modules),), name="datasource-loading", daemon=True)
    loading.start()
    return loading


def _load(modules: Iterable[str]) -> None:
    for module in modules:
        with suppress(Exception):  # who uses it is told
            importlib.import_module(module)
    with suppress(Exception):
        pa.scalar(0)  # Arrow's first value imports pandas, where it is installed: 0.2 s
