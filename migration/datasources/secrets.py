"""Placeholders and secrets: where an option's value comes from, and who may not see it.

``${VAR}`` is an environment variable, ``${VAR:-text}`` has a default, ``${VAR:?text}`` says what to do when
it is missing, ``${file:/run/secrets/x}`` is a file's content without its last line break. ``$$`` is one ``$``.

Rules:

1. A placeholder that cannot be filled is an error that names it and the option it stands in. There is no
   stand-in text that fails later as a wrong password.
2. What a placeholder stands for is looked up when a connection is made; what is stored and shown is the
   placeholder.
3. A secret has no ``str`` or ``repr`` that shows it. ``mask`` takes known secrets, in any spelling a driver
   may use, out of a text before it becomes an error or a log line.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import quote, quote_plus

from migration.errors import MigrationError

MASK = "********"
PLACEHOLDER = re.compile(r"\$\$|\$\{(?P<body>[^{}]*)\}")
_HALF = re.compile(r"\$\$|\$\{[^{}]*\}|(?P<open>\$\{)")
_VARIABLE = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)(?:(?P<kind>:-|:\?)(?P<text>.*))?", re.DOTALL)
_SHORTEST = 4  # shorter secrets are not searched for: "a" would mask half of every message


class Secret:
    """A text that is only shown by asking for it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __repr__(self) -> str:
        return f"Secret('{MASK}')"

    def __str__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(("secret", self._text))


def fill(text: str, where: str, environment: Mapping[str, str] | None = None) -> str:
    """``text`` with its placeholders filled; ``where`` names the option in errors.

    >>> fill("${HOST:-localhost}:${PORT}", "uri", {"PORT": "5432"})
    'localhost:5432'
    """
    variables = os.environ if environment is None else environment

    def value(match: re.Match[str]) -> str:
        body = match["body"]
        return "$" if body is None else _value(body, where, variables)

    if any(match["open"] for match in _HALF.finditer(text)):
        raise MigrationError(
            "HV00A",
            f"{where}: a placeholder is not closed, or stands in another one",
            hint="Write ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:/path}; $$ is a plain dollar sign.",
        )
    return PLACEHOLDER.sub(value, text)


def placeholder_files(text: str) -> tuple[str, ...]:
    """The files that placeholders of ``text`` are filled from.

    >>> placeholder_files("${USER}:${file:/run/secrets/x}")
    ('/run/secrets/x',)
    """
    bodies = (match["body"] or "" for match in PLACEHOLDER.finditer(text))
    return tuple(body.removeprefix("file:") for body in bodies if body.startswith("file:"))


def has_placeholder(text: str) -> bool:
    """True if ``text`` is filled from elsewhere."""
    return any(match["body"] is not None for match in PLACEHOLDER.finditer(text))


def mask(text: str, secrets: Iterable[str]) -> str:
    """``text`` without any of ``secrets``, plain, quoted for a URL or escaped."""
    spellings = {
        spelling
        for secret in secrets
        if len(secret) >= _SHORTEST
        for spelling in (
            secret,
            quote(secret, safe=""),
            quote(secret),
            quote_plus(secret),
            secret.replace("'", "''"),
            secret.replace("\\", "\\\\").replace("'", "\\'"),
            repr(secret)[1:-1],
        )
    }
    for spelling in sorted(spellings, key=len, reverse=True):
        text = text.replace(spelling, MASK)
    return text


def _value(body: str, where: str, variables: Mapping[str, str]) -> str:
    if body.startswith("file:"):
        path = Path(body.removeprefix("file:"))
        try:
            return path.read_text(encoding="utf-8").removesuffix("\n").removesuffix("\r")
        except (OSError, UnicodeDecodeError, ValueError) as reason:
            raise MigrationError(
                "HV00J",
                f"{where}: the file of ${{{body}}} cannot be read",
                detail=getattr(reason, "strerror", None) or str(reason),
                hint="Create the file, or give the value another way.",
            ) from None
    match = _VARIABLE.fullmatch(body)
    if match is None:
        raise MigrationError(
            "HV00A",
            f"{where}: ${{{body}}} is no placeholder",
            hint="Write ${VAR}, ${VAR:-default}, ${VAR:?message} or ${file:/path}; $$ is a plain dollar sign.",
        )
    name, kind, text = match["name"], match["kind"], match["text"]
    found = variables.get(name)
    if found or (found is not None and kind is None):
        return found
    if kind == ":-":
        return text
    raise MigrationError(
        "HV00J",
        f"{where}: the environment variable {name} is not set",
        detail=text or None,
        hint=f"Set {name} where the server starts, or write ${{{name}:-default}}.",
    )
