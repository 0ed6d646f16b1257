"""The SQL in README and docs is at least well-formed: each statement is a command or Postgres' SQL."""

from __future__ import annotations

import re
from pathlib import Path

import pglast
import pytest
from sql_blocks import sql_blocks

from proxy.commands import branch, from_function, parse_command
from proxy.commands.model import Command

ROOT = Path(__file__).parents[2]
PAGES = [
    ROOT / "README.md",
    *sorted((ROOT / "docs").glob("*.md")),
    *sorted((ROOT / "docs" / "examples").glob("*.md")),
    *sorted((ROOT / "docs/workflows").glob("*.md")),
]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_statement_is_well_formed(page: Path) -> None:
    for block in sql_blocks(page):
        assert block
        for statement in block:
            if parse_command(statement) is None:
                pglast.parse_sql(statement)


def test_the_readme_tells_a_whole_story() -> None:
    commands = [parse_command(text) for block in sql_blocks(ROOT / "README.md") for text in block]
    told = {type(command) for command in commands if command}
    assert told >= {branch.CreateBranch, branch.SwitchBranch, branch.DiffBranch, branch.ShadowQuery}
    assert told >= {branch.MergeBranch, branch.DiscardBranch, branch.ListBranches}


def test_every_section_shows_its_own_command() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    shown = 0
    for section in re.split(r"\n#{2,3} ", text):
        example = re.search(r"```sql\n(.*?);\n```", section, re.DOTALL)
        form = re.search(r"```text\n(.*?)\n```", section, re.DOTALL)
        if not example or not form:
            continue
        command = parse_command(example[1])
        if command is None:
            name = section.split("\n")[0]
            assert name in ("bough.diff", "bough.diff_stat", "Data tools")
            if name == "Data tools":
                command = from_function("bough.read_query", ["SELECT 1"], {})
            else:
                command = from_function(name, ["public.flights", "main", "feature"], {})
        assert isinstance(command, Command)
        assert command.form == re.sub(r"\s+", " ", form[1])
        shown += 1
    assert shown > 40
