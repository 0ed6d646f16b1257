"""The docs say what the code does: every command, setting and error, and the version."""

from __future__ import annotations

import re
from importlib.metadata import version
from pathlib import Path

import pytest

from proxy.commands import FUNCTIONS, PRIVILEGES, VIEWS, Command
from proxy.commands import branch as branch_commands
from proxy.commands import remote as remote_commands
from proxy.gucs import GUCS
from proxy.settings import SETTINGS, Setting

ROOT = Path(__file__).parents[2]
PACKAGES = ("proxy", "branching", "migration")
WORD = re.compile(r"\s+")


def _read(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def _squeezed(text: str) -> str:
    return WORD.sub(" ", text)


def _commands() -> list[type[Command]]:
    found = [
        item
        for module in (branch_commands, remote_commands)
        for item in vars(module).values()
        if isinstance(item, type) and issubclass(item, Command) and item.__module__ == module.__name__
    ]
    return [item for item in found if item.tag and item.form]


# SetLocalBranch is told under SetBranch.
COMMANDS = [item for item in _commands() if item is not branch_commands.SetLocalBranch]


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.__name__)
def test_every_command_has_a_section(command: type[Command]) -> None:
    sections = [_squeezed(text) for text in re.split(r"\n#{2,3} ", _read("docs/commands.md"))]
    mine = [text for text in sections if f"```text {command.form} ```" in text]
    assert len(mine) == 1, f"docs/commands.md needs one section with the form: {command.form}"
    assert command.privilege in PRIVILEGES
    assert f"Privilege: `{command.privilege}`. Tag: `{command.tag}`." in mine[0]
    assert ("Commits on its own." in mine[0]) == command.changes_branches
    listed = re.findall(r"`(\w+)` [a-z0-9]+(?:\[\])?[,.]", mine[0].partition("Columns")[2])
    assert listed == [column.name for column in command.result]
    assert ("Columns" in mine[0]) == command.returns_rows
    assert "```sql" in mine[0]


def test_every_privilege_function_and_view_is_documented() -> None:
    text = _read("docs/commands.md")
    for privilege, meaning in PRIVILEGES.items():
        assert f"- `{privilege}`: {meaning}" in text
    for name, form in FUNCTIONS.items():
        if name == form.name:
            assert f"| `{form.signature}` |" in text
    for name, columns in VIEWS.items():
        row = next(line for line in text.splitlines() if line.startswith(f"| `{name}` |"))
        assert re.findall(r"`(\w+)`", row) == [name, *(column.name for column in columns)]


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: setting.name)
def test_every_setting_is_documented(setting: Setting) -> None:
    variables = ", ".join(f"`{name}`" for name in (setting.variable, *setting.aliases))
    default = f"`{setting.default}`" if setting.default else ""
    assert f"| `{setting.name}` | {variables} | {default} | {setting.help} |" in _read("docs/settings.md")


def test_every_session_setting_is_documented() -> None:
    text = _read("docs/settings.md")
    for guc in GUCS:
        assert re.search(rf"^\| `{guc.name}`( \*)? \| .*{re.escape(guc.help)}", text, re.MULTILINE), guc.name


def test_every_sqlstate_is_documented() -> None:
    pattern = re.compile(
        r'"((?:0[0-9A]|2[0-9BDF]|3[4BDF]|4[024]|5[34578]|F0|HV|P0|VB|VT|XX)[0-9A-Z]{3})"(?!\s*:\s*[^"\s])'
    )
    used = {
        code
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        for code in pattern.findall(path.read_text(encoding="utf-8"))
        if not code.endswith(("MB", "KB"))
    }
    assert "42601" in used
    documented = set(re.findall(r"^\| `(\w{5})` \|", _read("docs/errors.md"), re.MULTILINE))
    assert used - documented == set(), "docs/errors.md lacks these"


def test_the_changelog_knows_the_version() -> None:
    text = _read("CHANGELOG.md")
    versions = re.findall(r"^## (\d+\.\d+\.\d+)", text, re.MULTILINE)
    assert versions, "CHANGELOG.md has no version"
    assert versions[0] == version("bough")
    assert f'version = "{versions[0]}"' in _read("pyproject.toml")


def test_every_answer_is_shown_by_a_test_there_is() -> None:
    text = _read("docs/answers.md")
    tests: dict[str, str] = {}
    for path in (ROOT / "tests").rglob("test_*.py"):
        assert path.name not in tests, (
            f"two files are called {path.name}: docs/answers.md names tests by their file"
        )
        tests[path.name] = path.read_text(encoding="utf-8")
    complaints, promises = (
        [line for line in part.splitlines() if line.startswith("| ")][1:] for part in text.split("\n## ")[1:]
    )
    assert (len(complaints), len(promises)) == (26, 20)
    for row in complaints + promises:
        cited = re.findall(r"`(test_\w+\.py)::(\w+)`", row.split(" | ")[-1])
        assert cited, row
        for file, name in cited:
            found = re.search(rf"^(?:async )?def {name}\(", tests.get(file, ""), re.MULTILINE)
            assert found, f"docs/answers.md names {file}::{name}"


def test_links_between_docs_lead_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", page.read_text(encoding="utf-8")):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}"
