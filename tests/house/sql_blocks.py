"""The SQL in our pages: every block marked ``sql``, as single statements, and the results printed with them."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_TOLD = re.compile(r"^```sql\n(.*?)^```$(?:\n\n```text\n(.*?)^```$)?", re.MULTILINE | re.DOTALL)
_END = re.compile(r";\s*(?:--[^\n]*)?(?:\n|\Z)")


def sql_blocks(page: Path) -> list[list[str]]:
    """The blocks of ``page``; a statement ends with a semicolon at the end of a line."""
    return [_statements(block) for block in _BLOCK.findall(page.read_text(encoding="utf-8"))]


def _statements(block: str) -> list[str]:
    return [statement.strip() for statement in _END.split(block) if statement.strip()]


def told_blocks(page: Path) -> list[tuple[list[str], list[list[str]] | None]]:
    """The blocks, each with the table that follows it as ``text``: its lines of cells, the names first."""
    return [
        (_statements(sql), _cells(text) if text else None)
        for sql, text in _TOLD.findall(page.read_text(encoding="utf-8"))
    ]


def _cells(table: str) -> list[list[str]]:
    lines = table.splitlines()
    return [[cell.strip() for cell in line.split("|")] for line in (lines[0], *lines[2:])]
