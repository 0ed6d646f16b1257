"""What is above the engine speaks of no engine: no word of DuckDB's own is in a statement that ``branching`` makes."""

from __future__ import annotations

import ast
import re
from pathlib import Path

BRANCHING = Path(__file__).parents[2] / "branching"

# Each is a spelling that only DuckDB has, or that one engine has and others have not: it belongs behind ``engine``.
OWN_WORDS = re.compile(
    r"""duckdb_\w+\s*\(|\bPRAGMA\b|^duckdb$|\bCHECKPOINT\b|\bSET\s+VARIABLE\b|getvariable|current_database\(\)"""
    r"""|\btemp\.main\b|\bsetval\b|\btypeof\b|\bstarts_with\b|\bEXPLAIN\b.*\{|::[A-Z]|\browid\b|\.wal\b|\bATTACH\b"""
    r"""|GROUP\s+BY\s+ALL|\bANTI\s+JOIN\b|\*\s+REPLACE\b|FILTER\s+\((?!WHERE)|CREATE\s+OR\s+REPLACE\s+TEMP|\bTEMP\s+TABLE\b.*\{|CREATE\s+SEQUENCE\s+\{physical"""
)
# Words that are about names of functions, not spoken to an engine: who may call what is decided by name.
ABOUT = {
    "volatility.py": {"setval"},  # functions whose value changes
    "names.py": {"rowid"},  # a column that is none of a client's
    "repeatable.py": {"setval"},  # functions whose value changes
    "resolve.py": {"setval"},  # functions that take a sequence's name
    "steady.py": {"setval"},
    "watch.py": {"setval"},
}


def _above() -> list[Path]:
    return sorted(BRANCHING.glob("*.py"))


def _texts(path: Path) -> list[tuple[int, str]]:
    """The string literals of a module, docstrings aside: the text that it may say to an engine."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            parts = [item.value if isinstance(item, ast.Constant) else "{}" for item in node.values]
            found.append((node.lineno, "".join(map(str, parts))))
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            found.append((node.lineno, node.value))
    return found


def test_no_engine_s_own_words_above_the_engine() -> None:
    spoken = [
        f"{path.name}:{line}: {match[0]}"
        for path in _above()
        for line, text in _texts(path)
        if (match := OWN_WORDS.search(text)) and match[0] not in ABOUT.get(path.name, set())
    ]
    assert spoken == []


def test_words_that_are_excused_are_there() -> None:
    for name, words in ABOUT.items():
        texts = [text for _, text in _texts(BRANCHING / name)]
        assert all(any(word in text for text in texts) for word in words), name


def test_nothing_above_the_engine_imports_one() -> None:
    """The import contracts say so too; they would not see an import by name."""
    named = re.compile(
        r"import_module|__import__|engine\.duckdb(?!_engine import DuckDBEngine)|^\s*import duckdb", re.M
    )
    found = [path.name for path in _above() if named.search(path.read_text(encoding="utf-8"))]
    assert found == []


def test_the_search_finds_what_it_is_for() -> None:
    for spoken in (
        "SELECT 1 FROM duckdb_tables()",
        "PRAGMA database_size",
        "duckdb",
        "SELECT a::BIGINT",
        "SELECT setval('x', 1)",
        "GROUP BY ALL",
    ):
        assert OWN_WORDS.search(spoken), spoken
