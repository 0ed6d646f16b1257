"""Log lines: one per connection and failed statement, as text or JSON on stderr. No secret, no control character."""

from __future__ import annotations

import logging
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_LONGEST = 2000


def _safe(_logger: Any, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if isinstance(value, str):
            text = "".join(char if char.isprintable() else repr(char)[1:-1] for char in value[:_LONGEST])
            event[key] = text
    return event


def configure(form: str, level: str) -> None:
    """Sets the process's logging up."""
    # It warns of statements that it does not know, with their text: a mistyped CREATE DATASOURCE is among them.
    logging.getLogger("sqlglot").setLevel(logging.CRITICAL)
    renderer: Any = (
        structlog.processors.JSONRenderer() if form == "json" else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _safe,
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(getattr(logging, level.upper(), logging.INFO)),
        logger_factory=structlog.PrintLoggerFactory(file=sys.stderr),
        cache_logger_on_first_use=False,
    )
