"""pg_catalog and information_schema: looking like PostgreSQL 15 to every client that looks.

``SystemCatalog(executor).rewrite(tree, catalog, context)`` turns a query over system relations into one the
engine can run; ``mentions_catalog(tree)`` says whether that is needed.
"""

from proxy.catalog.context import Backend, Context, Database, Executor, Role
from proxy.catalog.kinds import result_types
from proxy.catalog.rewrite import Rewritten, SystemCatalog, mentions_catalog

__all__ = [
    "Backend",
    "Context",
    "Database",
    "Executor",
    "Rewritten",
    "Role",
    "SystemCatalog",
    "mentions_catalog",
    "result_types",
]
