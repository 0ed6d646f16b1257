"""The server's settings: one table, which the command line, docs/settings.md and SHOW ALL read.

Rules:

1. A value comes from the first of: a flag, an environment variable, ``bough.toml``, the default. Where it
   came from is kept beside it, because that is the first question when a server behaves oddly.
2. Values have units (``24h``, ``5min``, ``64MB``). A wrong value or an unknown name is one ``SettingsError``
   whose text is the line to print; nothing is guessed and nothing is ignored.
3. Durations are ``timedelta``s, sizes are bytes; 0 switches a limit off where the help says so.
"""

from __future__ import annotations

import difflib
import tomllib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from types import MappingProxyType
from typing import Any

from proxy.units import format_duration, format_size, parse_duration, parse_size

Value = str | int | float | bool | timedelta | tuple[str, ...]


class SettingsError(Exception):
    """A setting that cannot be used; ``message`` is one line, ``hint`` the next step."""

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def _boolean(text: str) -> bool:
    folded = text.strip().lower()
    if folded in ("true", "on", "yes", "1", "t", "y"):
        return True
    if folded in ("false", "off", "no", "0", "f", "n"):
        return False
    raise ValueError(f'"{text}" is not true or false')


def _text(text: str) -> str:
    if "\x00" in text or "\n" in text:
        raise ValueError("it must be one line of text")
    return text.strip()


def _names(text: str) -> tuple[str, ...]:
    return tuple(part for part in (item.strip() for item in text.split(",")) if part)


def _between(low: int, high: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            number = int(text.strip().replace("_", ""))
        except ValueError:
            raise ValueError(f'"{text}" is not a whole number') from None
        if not low <= number <= high:
            raise ValueError(f"{number} is not between {low} and {high}")
        return number

    return parse


def _fraction(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a number') from None
    if not 0 <= number <= 1:
        raise ValueError(f"{text} is not between 0 and 1")
    return number


def _tolerance(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f'"{text}" is not a number') from None
    if not 0 <= number < float("inf"):
        raise ValueError(f"{text} is not a tolerance")
    return number


def _choice(*choices: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        folded = text.strip().lower()
        if folded not in choices:
            raise ValueError(f'"{text}" is not one of {", ".join(choices)}')
        return folded

    return parse


def _duration(text: str) -> timedelta:
    return parse_duration(text)


def _size(text: str) -> int:
    return parse_size(text)


def _memory(text: str) -> str:
    folded = text.strip()
    if folded and not (folded.endswith("%") and folded[:-1].isdecimal() and 0 < int(folded[:-1]) <= 100):
        return format_size(parse_size(folded))
    return folded


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its default as a person would write it, and what reads such a text."""

    name: str
    default: str
    parse: Callable[[str], Value]
    help: str
    aliases: tuple[str, ...] = ()  # other environment variables that set it
    secret: bool = False

    @property
    def variable(self) -> str:
        return "BOUGH_" + self.name.upper()

    def show(self, value: Value) -> str:
        """``value`` as a person would write it."""
        if isinstance(value, bool):
            return "on" if value else "off"
        if isinstance(value, timedelta):
            return format_duration(value)
        if isinstance(value, tuple):
            return ", ".join(value)
        if self.parse is _size and isinstance(value, int):
            return format_size(value)
        return str(value)


SETTINGS: tuple[Setting, ...] = (
    Setting("host", "127.0.0.1", _text, "Address to listen on."),
    Setting("port", "5439", _between(0, 65535), "TCP port to listen on; 0 takes a free one."),
    Setting("file", "bough.duckdb", _text, "The DuckDB file to serve, or :memory:."),
    Setting("log", "text", _choice("text", "json"), "Form of the log on stderr."),
    Setting(
        "log_level", "info", _choice("debug", "info", "warning", "error"), "Least important line to log."
    ),
    Setting(
        "dev_mode",
        "on",
        _boolean,
        "Connections from this machine need no password.",
        aliases=("HATIDATA_DEV_MODE",),
    ),
    Setting("users_file", "", _text, "File with one user:password-verifier per line; empty: no passwords."),
    Setting(
        "branch_isolation_enabled",
        "on",
        _boolean,
        "Offer branches; off serves main alone.",
        aliases=("BRANCH_ISOLATION_ENABLED",),
    ),
    Setting(
        "shadow_mode_enabled",
        "on",
        _boolean,
        "Offer shadow queries and shadow mode.",
        aliases=("HATIDATA_SHADOW_MODE_ENABLED",),
    ),
    Setting("shadow_sample_rate", "1", _fraction, "Share of a session's SELECTs that shadow mode replays."),
    Setting(
        "shadow_tolerance", "1e-9", _tolerance, "How far apart floats may be that shadow mode takes as equal."
    ),
    Setting("shadow_workers", "1", _between(1, 64), "Statements that shadow mode replays at once."),
    Setting("shadow_queue_size", "1000", _between(1, 1_000_000), "Statements that may wait to be replayed."),
    Setting("shadow_queue_bytes", "16MB", _size, "Memory that waiting statements and their values may take."),
    Setting("shadow_timeout", "30s", _duration, "Longest time for one replay on all its branches."),
    Setting("shadow_log_size", "1000", _between(1, 100_000), "Entries kept in bough.shadow_log."),
    Setting(
        "database_aliases",
        "hatidata, iceberg_catalog, default",
        _names,
        "Database names that open main, besides postgres, bough, the file's name and the user's.",
    ),
    Setting(
        "hatidata_branch_schemas",
        "on",
        _boolean,
        "A schema branch_<12 hex digits> stands for the branch of that name.",
        aliases=("HATIDATA_BRANCH_SCHEMAS",),
    ),
    Setting(
        "branch_ttl", "24h", _duration, "Life of a branch that asks for none; 0 keeps branches for ever."
    ),
    Setting("gc_interval", "300s", _duration, "Time between two passes that collect expired branches."),
    Setting("trash_grace", "1h", _duration, "How long a discarded branch can be restored."),
    Setting("retention", "0", _duration, "How far back AS OF can read, besides fork points."),
    Setting("max_branches", "10000", _between(1, 10_000_000), "Branches that may live at once."),
    Setting("max_connections", "200", _between(1, 100_000), "Client connections at once."),
    Setting("statement_timeout", "0", _duration, "Longest time for one statement; 0 sets no limit."),
    Setting(
        "idle_in_transaction_session_timeout",
        "5min",
        _duration,
        "Longest idle time inside a transaction block; 0 sets no limit.",
    ),
    Setting("authentication_timeout", "10s", _duration, "Longest time from connecting to being logged in."),
    Setting("shutdown_timeout", "10s", _duration, "How long a stopping server waits for running statements."),
    Setting("max_statement_bytes", "1MB", _size, "Longest text of one statement."),
    Setting("max_frame_bytes", "64MB", _size, "Longest protocol message."),
    Setting("checkpoint_wal_bytes", "256MB", _size, "Size of the write-ahead log that starts a checkpoint."),
    Setting("disk_reserve", "64MB", _size, "Free space on the disk below which writes are refused; 0: none."),
    Setting("memory_limit", "", _memory, "Memory of the engine, as 4GB or 60%; empty: the engine's default."),
    Setting("threads", "0", _between(0, 4096), "Threads of the engine; 0: one for each processor."),
    Setting("agent_file", "", _text, "A Datus agent.yml whose datasources are taken; empty: none."),
    Setting(
        "file_directories", "", _names, "Directories that read_csv, read_parquet and their like may read."
    ),
)
BY_NAME: Mapping[str, Setting] = MappingProxyType({setting.name: setting for setting in SETTINGS})
_EARLIEST = "default"


@dataclass(frozen=True, slots=True)
class Settings:
    """The effective values, by attribute (``settings.port``) and with their sources.

    ``datasources`` are the ``[datasources.x]`` tables of the file as they are written; who opens them reads them.
    """

    values: Mapping[str, Value]
    sources: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    datasources: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def __getattr__(self, name: str) -> Any:
        if name not in BY_NAME:
            raise AttributeError(f"no setting is called {name}")
        return self.values[name]

    def rows(self) -> Iterator[tuple[str, str, str, str, str]]:
        """(name, value, source, default, help) of every setting, as `bough.settings` shows them."""
        for setting in SETTINGS:
            value = "********" if setting.secret else setting.show(self.values[setting.name])
            yield (
                setting.name,
                value,
                self.sources.get(setting.name, _EARLIEST),
                setting.default,
                setting.help,
            )


def load(
    flags: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    config: Path | None = None,
) -> Settings:
    """The settings from flags, then variables, then the file, then the defaults.

    ``config`` that is named must exist; ``bough.toml`` in the current directory is the caller's to find.
    """
    given: dict[str, tuple[str, str]] = {}  # name -> (text, source)
    texts, tables = _read(config) if config else ({}, {})
    for name, text in texts.items():
        given[_known(name, str(config))] = (text, str(config))
    for name, text, variable in _from_environment(environment or {}):
        given[name] = (text, variable)
    for name, text in (flags or {}).items():
        given[_known(name, "--set")] = (text, "command line")
    values, sources = {}, {}
    for setting in SETTINGS:
        text, source = given.get(setting.name, (setting.default, _EARLIEST))
        try:
            values[setting.name] = setting.parse(text)
        except ValueError as reason:
            raise SettingsError(f"{setting.name}: {reason} (from {source})", hint=setting.help) from None
        sources[setting.name] = source
    return Settings(MappingProxyType(values), MappingProxyType(sources), MappingProxyType(tables))


def _from_environment(environment: Mapping[str, str]) -> Iterator[tuple[str, str, str]]:
    variables = {setting.variable: setting for setting in SETTINGS}
    for setting in SETTINGS:
        for variable in (*setting.aliases, setting.variable):  # our own name wins over an alias
            if variable in environment:
                yield setting.name, environment[variable], variable
    for variable in environment:
        if variable.startswith("BOUGH_") and variable not in variables and variable != "BOUGH_CONFIG":
            raise SettingsError(
                f"the environment variable {variable} is no setting", hint=_nearest(variable, variables)
            )


def _read(config: Path) -> tuple[dict[str, str], dict[str, Any]]:
    """The settings of a file as text, and its tables of datasources."""
    try:
        content = tomllib.loads(config.read_text(encoding="utf-8"))
    except OSError as reason:
        raise SettingsError(f"cannot read {config}: {reason.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as reason:
        yaml = config.suffix.lower() in (".yml", ".yaml")
        hint = f"A Datus agent.yml is another file: --set agent_file={config}" if yaml else None
        raise SettingsError(f"{config} is not valid TOML: {reason}", hint=hint) from None
    tables = content.pop("datasources", {})
    if not isinstance(tables, dict):
        raise SettingsError(f"datasources in {config} must be tables", hint="Write [datasources.name].")
    for name, value in content.items():
        if isinstance(value, dict) and difflib.get_close_matches(name, ["datasources"], n=1):
            raise SettingsError(f"{config} has no section [{name}]", hint="Did you mean [datasources.name]?")
    return {name: _toml_text(name, value, config) for name, value in content.items()}, tables


def _toml_text(name: str, value: object, config: Path) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    if isinstance(value, str | int | float):
        return str(value)
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return ", ".join(value)
    raise SettingsError(f"{name} in {config} must be a text, a number, true, false or a list of texts")


def _known(name: str, source: str) -> str:
    folded = name.strip().lower().replace("-", "_")
    if folded not in BY_NAME:
        raise SettingsError(f"unknown setting {name} (from {source})", hint=_nearest(folded, BY_NAME))
    return folded


def _nearest(name: str, names: Mapping[str, object]) -> str:
    close = difflib.get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f"Did you mean {close[0]}?" if close else "`bough config` lists all settings."
