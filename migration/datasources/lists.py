"""Datasources as files list them: ``[datasources.x]`` of a bough.toml, a Datus ``agent.yml``.

Rules:

1. A file is taken as it is or refused with what is wrong in it; nothing in it is passed over but what is not about
   datasources.
2. A message names the place in a file and never quotes it: a password may stand there.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from migration.datasources.datasource import Datasource, datasource
from migration.datasources.secrets import fill
from migration.errors import MigrationError


def from_tables(tables: object, source: str) -> tuple[Datasource, ...]:
    """Datasources from a mapping name -> options, as ``[datasources.x]`` of bough.toml gives it."""
    if not isinstance(tables, Mapping):
        raise MigrationError(
            "HV00J",
            f"the datasources in {source} are no list of names",
            hint="Each is a name with options below it, type among them.",
        )
    found = []
    for written, options in tables.items():
        if isinstance(written, bool) or not isinstance(written, str | int):
            raise MigrationError(
                "HV00J", f"a datasource in {source} has no text as its name", hint="Put the name in quotes."
            )
        name = str(written)
        if not isinstance(options, Mapping) or "type" not in options:
            raise MigrationError(
                "HV00J", f"datasource {name} in {source} has no type", hint='Write type = "postgres".'
            )
        rest = {key: value for key, value in options.items() if key not in ("type", "name")}
        try:
            found.append(datasource(name, fill(str(options["type"]), f"datasource {name}, type"), rest))
        except MigrationError as error:
            if f"datasource {name}" not in error.message:  # of many in a file, which one is it
                error.message = f"datasource {name} in {source}: {error.message}"
                error.args = (error.message,)
            raise
    return tuple(found)


def from_toml(path: Path) -> tuple[Datasource, ...]:
    """The ``[datasources.*]`` tables of a bough.toml."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        raise MigrationError("HV00A", f"cannot read datasources from {path}", detail=str(reason)) from None
    return from_tables(content.get("datasources", {}), str(path))


def from_agent_file(path: Path) -> tuple[Datasource, ...]:
    """The datasources of a Datus ``agent.yml``, which is accepted as it is; or of a plain list ``datasources:``."""
    try:
        import yaml
    except ImportError:
        raise MigrationError(
            "HV000", "reading an agent.yml needs PyYAML", hint="pip install 'bough[agent]'"
        ) from None
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as reason:
        raise MigrationError("HV00A", f"cannot read datasources from {path}", detail=str(reason)) from None
    except yaml.YAMLError as reason:
        mark, problem = getattr(reason, "problem_mark", None), getattr(reason, "problem", None)
        where = f" in line {mark.line + 1}" if mark is not None else ""
        raise MigrationError(
            "HV00A", f"cannot read datasources from {path}", detail=f"{problem or 'no YAML'}{where}"
        ) from None
    if content is None:
        return ()
    if not isinstance(content, Mapping):
        raise MigrationError(
            "HV00J",
            f"{path} lists no datasources",
            hint="They stand below agent: services: datasources:, or below datasources: alone.",
        )
    agent = _section(content, "agent", path) if "agent" in content else content
    services = _section(agent, "services", path)
    if "databases" in services:
        raise MigrationError(
            "HV00D", f"{path}: services.databases is the old name", hint="Rename it to services.datasources."
        )
    return from_tables(services.get("datasources") or content.get("datasources") or {}, str(path))


def _section(content: Mapping[Any, Any], name: str, path: Path) -> Mapping[Any, Any]:
    found = content.get(name) or {}
    if not isinstance(found, Mapping):
        raise MigrationError(
            "HV00J", f"{path}: {name} holds no sections", hint=f"Write {name}: alone in its line."
        )
    return found
