"""An engine's plan for a person: logical names in the place of storage, the drawing as wide as it was."""

from __future__ import annotations

import re
from collections.abc import Iterable

from branching.names import BRANCH, DATA_SCHEMA, ENDED, HIDDEN_PREFIX, MANIFEST_SCHEMA, RID, VERSION

_KINDS = {"d": "rows of branches", "m": "replaced rows", "b": "images", "h": "history"}
_NAME = r'(?:\b\w+|"(?:[^"]|"")+")'  # the engine quotes a file's name such as data or my-file
_STORAGE = re.compile(rf"(?:{_NAME}\.)?{DATA_SCHEMA}\.([dmbh])\d+(?:_\d+)?")
_MANIFEST = re.compile(rf"(?:{_NAME}\.)?{MANIFEST_SCHEMA}\.\w+")
_PUT_ASIDE = re.compile(
    rf"\b{HIDDEN_PREFIX}\w+\.({_NAME}\.{_NAME})"
)  # rows of a statement's own, numbered there
_NUMBER = re.compile(r'_\d+("?)$')
_MAIN_TABLE = re.compile(rf"{_NAME}\.main\.({_NAME})")
_COLUMNS = {RID: "row id", VERSION: "version", BRANCH: "branch", ENDED: "until"}


def logical(lines: Iterable[str]) -> list[str]:
    """The lines with storage named by what it is. A name that is shorter leaves blanks, so frames still close."""
    return [_line(line) for line in lines]


def _line(line: str) -> str:
    line = _STORAGE.sub(lambda match: _fit(_KINDS[match[1]], match[0]), line)
    line = _MANIFEST.sub(lambda match: _fit("branches", match[0]), line)
    line = _PUT_ASIDE.sub(lambda match: _fit(_NUMBER.sub(r"\1", match[1]), match[0]), line)
    for name, shown in _COLUMNS.items():
        line = line.replace(name, shown.ljust(len(name)))
    # The schema's name has another length: what is missing goes behind the table's name.
    return _MAIN_TABLE.sub(lambda match: _fit(f"public.{match[1]}", match[0]), line)


def _fit(text: str, room: str) -> str:
    return text[: len(room)].ljust(len(room))
