"""Connectors: one module for each kind of engine, imported when a datasource of it is first opened.

>>> from migration.datasources import datasource
>>> with connect(datasource("s", "sqlite", {"path": ":memory:"})).reader() as reader:
...     reader.fetch("SELECT 1 AS one").to_pylist()
[{'one': 1}]
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping

from migration.connectors.base import Connector
from migration.datasources import Datasource
from migration.errors import MigrationError

__all__ = ["Connector", "connect"]


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
