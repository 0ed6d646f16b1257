"""The SQL in our pages: every block marked ``sql``, as single statements."""

from __future__ import annotations

import re
from pathlib import Path

_BLOCK = re.compile(r"^```sql\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_END = re.compile(r";\s*(?:--[^\n]*)?(?:\n|\Z)")


def sql_blocks(page: Path) -> list[list[str]]:
    """The blocks of ``page``; a statement ends with a semicolon at the end of a line."""
    return [
        [statement.strip() for statement in _END.split(block) if statement.strip()]
        for block in _BLOCK.findall(page.read_text(encoding="utf-8"))
    ]
