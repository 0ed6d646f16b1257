"""Datasources: the databases beside our own, by name.

Rules:

1. A ``Datasource`` is frozen data: a name, a type, options as written (placeholders unfilled), secrets apart
   from them, a role and time limits. It opens nothing; ``migration.connectors.connect`` does.
2. It is read-only unless it says ``role = read_write``.
3. The keys of Datus' ``agent.yml`` are taken as they are; ours and the drivers' spellings are aliases of the
   same keys (``user``/``username``, ``schema``/``schema_name``, ``uri``/``url``). A key nobody knows is HV00D.
4. ``to_dict`` holds no secret; ``secrets_to_dict`` holds nothing else. Whoever keeps a datasource keeps the
   two in two places, the second one readable by the server alone (``write_secrets`` makes such a file).
5. What a client's own placeholders stand for (``guarded``) is shown to nobody: a client that may write
   ``host '${VAR}'`` would read the server's environment and files in an error message.
6. Selection: the name that is given; without one, the datasource with ``default = true``; without that, the
   only one; otherwise the choice is refused.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

from migration.datasources.secrets import MASK, Secret, fill, has_placeholder
from migration.datasources.types import SECRET_OPTIONS, DatasourceType, datasource_type, option_name, read_uri
from migration.dialects.quoting import spelled
from migration.errors import MigrationError

Role = Literal["read_only", "read_write"]
_ROLES: Mapping[str, Role] = {
    "read_only": "read_only",
    "readonly": "read_only",
    "read-only": "read_only",
    "ro": "read_only",
    "read_write": "read_write",
    "readwrite": "read_write",
    "read-write": "read_write",
    "rw": "read_write",
}
_SECRET_KEY = re.compile(r"(?i)pass|pwd|secret|token|key|credential")  # of what stands behind a URL's ?
_AT_ONCE = frozenset({"access", "read_only", "default", "connect_timeout", "statement_timeout"})
LOCAL = "local"  # the session's branch, never in the registry


@dataclass(frozen=True, slots=True)
class Datasource:
    """One configured database. ``repr`` shows no secret."""

    name: str
    type: str
    options: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    secrets: Mapping[str, Secret] = field(default_factory=lambda: MappingProxyType({}), repr=False)
    role: Role = "read_only"
    default: bool = False
    connect_timeout: float = 10.0  # seconds
    statement_timeout: float = 0.0  # seconds; 0 = none: a long transfer is no error
    guarded: bool = field(default=False, repr=False, compare=False)  # made by a client, not by the settings

    @property
    def kind(self) -> DatasourceType:
        """What its type implies: the dialect and the connector."""
        return datasource_type(self.type)

    @property
    def dialect(self) -> str:
        """The name of its dialect contract."""
        return self.kind.dialect

    @property
    def read_only(self) -> bool:
        return self.role == "read_only"

    def filled(self, environment: Mapping[str, str] | None = None) -> dict[str, str]:
        """Every option and secret with its placeholders filled; only a connector asks for this."""
        texts = {**self.options, **{name: secret.reveal() for name, secret in self.secrets.items()}}
        found = {
            name: fill(text, f"datasource {self.name}, {name}", environment) for name, text in texts.items()
        }
        _check_port(self.name, found.get("port", ""))
        return found

    def secret_texts(self, environment: Mapping[str, str] | None = None) -> tuple[str, ...]:
        """What must not appear in a message: the secrets, filled where they can be."""
        found = []
        texts = {name: secret.reveal() for name, secret in self.secrets.items()}
        if self.guarded:  # not the port: digits, which stand in many a message
            texts |= {n: text for n, text in self.options.items() if n != "port" and has_placeholder(text)}
        for name, text in texts.items():
            with suppress(MigrationError):
                text = fill(text, "", environment)
            found.append(text)
            if name == "query":
                pairs = (part.partition("=")[::2] for part in text.split("&"))
                found += [value for key, value in pairs if _SECRET_KEY.search(key)]
        return tuple(found)

    def shown(self) -> dict[str, str]:
        """The options as SHOW may print them."""
        return {**self.options, **dict.fromkeys(self.secrets, MASK)}

    def to_dict(self) -> dict[str, Any]:
        """Everything but secrets, as JSON can hold it. A secret that is a placeholder is no secret."""
        public = {n: s.reveal() for n, s in self.secrets.items() if has_placeholder(s.reveal())}
        return {
            "name": self.name,
            "type": self.type,
            "options": {**self.options, **public},
            "role": self.role,
            "default": self.default,
            "connect_timeout": self.connect_timeout,
            "statement_timeout": self.statement_timeout,
        }

    def secrets_to_dict(self) -> dict[str, str]:
        """The secrets, in plain text; for a place only the server reads."""
        return {n: s.reveal() for n, s in self.secrets.items() if not has_placeholder(s.reveal())}

    @classmethod
    def from_dict(cls, content: Mapping[str, Any], secrets: Mapping[str, str] | None = None) -> Datasource:
        """What ``to_dict`` and ``secrets_to_dict`` wrote."""
        options = {**content["options"], **(secrets or {})}
        found = datasource(
            content["name"],
            content["type"],
            {
                **options,
                "role": content["role"],
                "default": str(content["default"]).lower(),
                "connect_timeout": str(content["connect_timeout"]),
                "statement_timeout": str(content["statement_timeout"]),
            },
            kept=True,
        )
        return replace(found, guarded=True)


def datasource(name: str, type_: str, options: Mapping[str, Any], *, kept: bool = False) -> Datasource:
    """A datasource from options as a user wrote them (or, ``kept``, did once); refuses what it cannot use.

    >>> datasource("pg", "PostgreSQL", {"host": "db", "username": "u", "password": "very secret"})
    Datasource(name='pg', type='postgres', options=mappingproxy({'host': 'db', 'user': 'u'}), \
role='read_only', default=False, connect_timeout=10.0, statement_timeout=0.0)
    """
    if not name or len(name.encode()) > 63 or "." in name or "\x00" in name:
        raise MigrationError("42602", f'"{name}" cannot name a datasource', hint="Use 1 to 63 bytes, no dot.")
    if name.lower() in (LOCAL, "bough", "pg_catalog", "information_schema"):
        raise MigrationError("42939", f'"{name}" is reserved', hint="Give the datasource another name.")
    kind = datasource_type(type_)
    known: dict[str, str] = {}
    for written, value in options.items():
        option = option_name(written, kind)
        if value is None:
            continue
        if option == "extra":
            if not isinstance(value, Mapping):
                raise MigrationError(
                    "HV00A",
                    f"datasource {name}: extra holds options, no text",
                    hint="Give them as plain options.",
                )
            known.update({option_name(key, kind): _text(item) for key, item in value.items()})
        elif isinstance(value, Mapping):
            raise MigrationError(
                "0A000",
                f"datasource {name}: option {written} is not supported",
                hint="Give the values it stands for as plain options.",
            )
        elif isinstance(value, list | tuple | set):
            raise MigrationError(
                "HV00A", f"datasource {name}: option {written} holds one value, no list", hint="Write a text."
            )
        else:
            known[option] = _text(value)
    uri = known.pop("uri", None)
    if uri is not None:
        known = {**read_uri(uri, kind), **known}
    asked = dict(known)  # what a message may show
    for option in _AT_ONCE & known.keys():  # what they stand for is needed before any connection is made
        known[option] = fill(known[option], f"datasource {name}, {option}")
    if known.pop("auth_mode", "password").lower() != "password":
        raise MigrationError(
            "0A000",
            f"datasource {name}: only auth_mode password is supported",
            hint="Give user and password.",
        )
    if not has_placeholder(port := known.get("port", "")):
        _check_port(name, port)
    role = _role(name, known, asked)
    default = _boolean(known.pop("default", "false"), name, "default", asked)
    connect = _seconds(known.pop("connect_timeout", "10"), name, "connect_timeout", asked)
    statement = _seconds(known.pop("statement_timeout", "0"), name, "statement_timeout", asked)
    missing = [option for option in kind.required if option not in known]
    if kind.one_of and not kept and not any(known.get(option) for option in kind.one_of):
        missing.append(" or ".join(kind.one_of))
    if missing:
        raise MigrationError(
            "HV00J",
            f"datasource {name}: option {', '.join(missing)} is missing",
            hint=f"Known: {kind.spelled}.",
        )
    return Datasource(
        name,
        kind.name,
        MappingProxyType({key: text for key, text in known.items() if key not in SECRET_OPTIONS}),
        MappingProxyType({key: Secret(text) for key, text in known.items() if key in SECRET_OPTIONS}),
        role,
        default,
        connect,
        statement,
    )


class Datasources:
    """The registry: datasources by name, safe to use from several threads."""

    def __init__(self, items: tuple[Datasource, ...] = ()) -> None:
        self._lock = threading.Lock()
        self._items: dict[str, Datasource] = {}
        for item in items:
            self.add(item)

    def __iter__(self) -> Iterator[Datasource]:
        return iter(sorted(self._items.values(), key=lambda item: item.name))

    def __len__(self) -> int:
        return len(self._items)

    def __contains__(self, name: object) -> bool:
        return name in self._items

    def add(self, item: Datasource, *, if_not_exists: bool = False) -> bool:
        """Registers it; 42710 if the name is taken. True if it is new."""
        with self._lock:
            if item.name in self._items:
                if if_not_exists:
                    return False
                raise MigrationError(
                    "42710",
                    f'datasource "{item.name}" already exists',
                    hint=f"DROP DATASOURCE {spelled(item.name)} first, or choose another name.",
                )
            self._items[item.name] = item
            return True

    def create(
        self, name: str, type_: str, options: Mapping[str, str], *, if_not_exists: bool = False
    ) -> Datasource:
        """CREATE DATASOURCE: also fills the placeholders once, so that a missing one is known now."""
        item = replace(datasource(name, type_, options), guarded=True)
        item.filled()
        self.add(item, if_not_exists=if_not_exists)
        return self._items[name]

    def drop(self, name: str, *, if_exists: bool = False) -> bool:
        """DROP DATASOURCE; True if there was one."""
        with self._lock:
            found = self._items.pop(name, None)
        if found is None and not if_exists:
            raise self._unknown(name)
        return found is not None

    def get(self, name: str) -> Datasource:
        """The datasource of that name; 42704 names the nearest one."""
        found = self._items.get(name)
        if found is None:
            raise self._unknown(name)
        return found

    def select(self, name: str = "") -> Datasource:
        """The one that is meant: by name, by default, or because it is the only one."""
        if name:
            return self.get(name)
        marked = [item for item in self if item.default]
        candidates = marked or list(self)
        if len(candidates) == 1:
            return candidates[0]
        names = ", ".join(item.name for item in candidates)
        raise MigrationError(
            "42704",
            "no datasource is named and the choice is not clear",
            detail=f"Datasources: {names}." if names else "There is no datasource.",
            hint="Name one, or set default = true on one of them.",
        )

    def check(self, environment: Mapping[str, str] | None = None) -> None:
        """At start: every placeholder can be filled, and one datasource at most is the default."""
        for item in self:
            item.filled(environment)
        marked = [item.name for item in self if item.default]
        if len(marked) > 1:
            raise MigrationError("HV00A", f"datasources {', '.join(marked)} all have default = true")

    def _unknown(self, name: str) -> MigrationError:
        close = difflib.get_close_matches(name, list(self._items), n=1)
        hint = f"Did you mean {spelled(close[0])}? " if close else ""
        return MigrationError(
            "42704", f'datasource "{name}" does not exist', hint=hint + "SHOW DATASOURCES lists them."
        )


def write_secrets(path: Path, secrets: Mapping[str, Mapping[str, str]]) -> None:
    """Writes datasource -> secrets to a file only its owner can read, all or nothing."""
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)  # mkstemp makes mode 0600
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump({name: dict(values) for name, values in secrets.items()}, file)
            file.flush()
            os.fsync(file.fileno())
        Path(temporary).replace(path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def read_secrets(path: Path) -> dict[str, dict[str, str]]:
    """What ``write_secrets`` wrote; refuses a file that others can read."""
    if not path.exists():
        return {}
    if path.stat().st_mode & 0o077:
        raise MigrationError("42501", f"{path} can be read by others", hint=f"chmod 600 {path}")
    content: dict[str, dict[str, str]] = json.loads(path.read_text(encoding="utf-8"))
    return content


def _check_port(name: str, port: str) -> None:
    if port and not port.isdecimal():
        raise MigrationError(  # its text may be a password: user:password without the @host
            "HV00A",
            f"datasource {name}: port is no number",
            hint="Write it in digits, as port '5432'. "
            "A uri is type://user:password@host:port/database; @ : / ? inside a part are written %40 %3A %2F %3F.",
        )


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


def _role(name: str, known: dict[str, str], written: Mapping[str, str]) -> Role:
    access = known.pop("access", None)
    only = known.pop("read_only", None)
    if access is None and only is not None:
        return "read_only" if _boolean(only, name, "read_only", written) else "read_write"
    folded = (access or "read_only").strip().lower()
    if folded not in _ROLES:
        raise MigrationError(
            "HV00A",
            f"datasource {name}: role is read_only or read_write, not {written['access']}",
            hint="Write role 'read_only', or role 'read_write' where TRANSFER and EXECUTE ON are to write.",
        )
    return _ROLES[folded]


def _boolean(text: str, name: str, option: str, written: Mapping[str, str]) -> bool:
    folded = text.strip().lower()
    if folded in ("true", "on", "yes", "1"):
        return True
    if folded in ("false", "off", "no", "0"):
        return False
    shown = written.get(option, text)
    raise MigrationError(
        "HV00A", f"datasource {name}: {option} is true or false, not {shown}", hint=f"Write {option} 'true'."
    )


def _seconds(text: str, name: str, option: str, written: Mapping[str, str]) -> float:
    units = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0}
    folded = text.strip().lower()
    for suffix in ("ms", "min", "s", "h"):
        if folded.endswith(suffix) and folded.removesuffix(suffix).strip().replace(".", "", 1).isdigit():
            return float(folded.removesuffix(suffix)) * units[suffix]
    if folded.replace(".", "", 1).isdigit():
        return float(folded)
    shown = written.get(option, text)
    raise MigrationError(
        "HV00A", f"datasource {name}: {option} is a duration, not {shown}", hint=f"Write {option} '30s'."
    )
