"""Which files a datasource may be: never the served database, nor anything kept beside it.

Rules:

1. The engine opens a file a second time without noticing when it goes by another name (a hard link), and two
   writers then ruin it. So a file is compared by its real path and by its inode, each time it is to be opened.
2. A path is a plain path. A prefix (``file:``, ``duckdb:``, ``s3:``) would have the engine read it in another way
   than it is checked here.
3. A file that a client's placeholder is filled from (``${file:…}``) is held to the same rules.
4. Where the setting ``file_directories`` grants directories, CREATE DATASOURCE is held to them, as COPY is. Only the
   settings file may give a datasource ``enable_external_access``.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

from branching.errors import BoughError
from migration.connectors.files import database_files
from migration.datasources.datasource import Datasource
from migration.datasources.secrets import placeholder_files
from proxy.sql.guard import belongs_to

_FILE_TYPES = frozenset(
    {"duckdb", "sqlite"}
)  # others are files where they have a path: ClickHouse in process
# What SQLAlchemy may open for any client: servers, and SQLite files like those of TYPE sqlite.
_DRIVERS = frozenset({"postgresql", "mysql", "mariadb", "mssql", "oracle", "sqlite"})
_PREFIX = re.compile(r"^[A-Za-z][A-Za-z0-9_+.-]*:")


def check_files(item: Datasource, served: Path | None, granted: Sequence[Path], *, by_settings: bool) -> None:
    """Raises 42501 if ``item`` is a file that it must not be."""
    family = item.options.get("driver", "").partition("+")[0].lower()
    if family and family not in _DRIVERS and not by_settings:
        raise BoughError(
            "42501",
            f'datasource "{item.name}" may not use the driver {family}',
            detail="A driver reaches whatever it was made for, files of the server among it.",
            hint="Only a datasource of the settings file may: [datasources.name] in bough.toml.",
        )
    if not by_settings:
        texts = [*item.options.values(), *(secret.reveal() for secret in item.secrets.values())]
        for name in (name for text in texts for name in placeholder_files(text)):
            _check(str(Path(name).resolve()), name, served, granted)
    if item.type not in _FILE_TYPES and "path" not in item.options and family != "sqlite":
        return
    options = item.filled()
    if family == "sqlite":
        if "query" in options:
            raise BoughError("42501", "an SQLite file takes no options behind the question mark")
        options["path"] = options.get("database", ":memory:")
    if not by_settings and options.get("enable_external_access", "false").lower() != "false":
        raise BoughError(
            "42501",
            f'datasource "{item.name}" may not have enable_external_access',
            hint="Only a datasource of the settings file may have it: [datasources.name] in bough.toml.",
        )
    for file in (options.get("path_pattern"), *database_files(options).values()):
        if file is None or file == ":memory:":
            continue
        if _PREFIX.match(file):
            raise BoughError("42501", "a path has no prefix such as file:", hint="Write a plain path.")
        option = "database" if family == "sqlite" else "path" if "path" in item.options else "path_pattern"
        shown = file if by_settings else item.options.get(option, file)
        _check(file, shown, served, () if by_settings else granted)


def _check(file: str, shown: str, served: Path | None, granted: Sequence[Path]) -> None:
    """``shown``: the file as it was written, for what its placeholders stand for is not shown."""
    real = Path(file).expanduser().resolve()
    if served is not None and belongs_to(real, served):
        raise BoughError(
            "42501",
            f'the file "{shown}" belongs to this server',
            detail="Its tables are on branches, and only this server may open it.",
            hint='Use the datasource "local" for the tables of the session\'s branch.',
        )
    if granted and not any(root.resolve() in real.parents for root in granted):
        raise BoughError(
            "42501",
            f'access to file "{shown}" is not allowed',
            hint="Name a file below a directory that the setting file_directories grants.",
        )
