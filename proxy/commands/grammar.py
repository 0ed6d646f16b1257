"""Which texts are commands of ours: decided by their first words, before any SQL parser sees them.

Rules:

1. A text is ours if it begins with one of the keyword sequences below, and then it is read to its end
   or refused; it never falls through to SQL.
2. Where SQL has a statement with the same first words (``SHOW``, ``SET``, ``CREATE``, ``EXPLAIN``,
   ``DESCRIBE``), as many words are asked for as tell the two apart.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from branching.errors import BoughError

from . import branch_grammar as branch
from . import database_grammar as database
from . import remote_grammar as remote
from .model import Command
from .reader import Reader
from .tokens import fold, skip_space

READERS: Mapping[tuple[str, ...], Callable[[Reader], Command]] = {
    ("branch",): branch.read_branch,
    ("explain", "branch"): branch.read_explain_merge,
    ("shadow",): branch.read_shadow,
    ("create", "database"): database.read_create_database,
    ("drop", "database"): database.read_drop_database,
    ("alter", "database"): database.read_alter_database,
    ("comment", "on", "database"): database.read_comment_on_database,
    ("set", "branch"): database.read_set_branch,
    ("set", "session", "branch"): database.read_set_branch,
    ("set", "local", "branch"): database.read_set_branch,
    ("reset", "branch"): database.read_reset_branch,
    ("show", "branch"): database.read_show_branch,
    ("show", "branches"): database.read_show_branches,
    **remote.READERS,
}
_FIRST = frozenset(words[0] for words in READERS) | {"describe", "desc"}
_LONGEST_FIRST = max(map(len, _FIRST))


def parse_command(text: str, is_datasource: Callable[[str], bool] | None = None) -> Command | None:
    """The command in ``text``; None where the text is not one of ours. ``is_datasource``: of the first of two parts.

    >>> parse_command("BRANCH SWITCH feature")
    SwitchBranch(name='feature')
    >>> parse_command("SELECT 1") is None
    True
    """
    if _first_word(text) not in _FIRST:
        return None
    reader = Reader(text)
    for words, read in READERS.items():
        if reader.at(*words) or _quotes_setting(reader, words):
            return read(reader)
    if _describes_remote(reader, is_datasource):
        return remote.read_describe(reader)
    return None


def _first_word(text: str) -> str:
    try:
        start = skip_space(text, 0)
    except BoughError:  # a comment without an end: for the SQL parser to say
        return ""
    end = start
    while end < len(text) and end - start <= _LONGEST_FIRST and text[end].isalpha():
        end += 1
    return fold(text[start:end])


def _quotes_setting(reader: Reader, words: tuple[str, ...]) -> bool:
    """SET "branch" = …: some drivers quote the names of settings."""
    if words[0] not in ("set", "reset", "show") or words[-1] != "branch" or not reader.at(*words[:-1]):
        return False
    name = reader.peek(len(words) - 1)
    return name.kind == "quoted" and name.value == "branch"


def _describes_remote(reader: Reader, is_datasource: Callable[[str], bool] | None) -> bool:
    """DESCRIBE with a name of three parts or more, or of two and the first is a datasource; others are SQL."""
    if not (reader.at("describe") or reader.at("desc")):
        return False
    names = [reader.peek(ahead).kind in ("word", "quoted", "string") for ahead in (1, 3, 5)]
    if all(names) and reader.at_symbol(".", 2) and reader.at_symbol(".", 4):
        return True
    ends = reader.peek(4).kind == "end" or reader.at_symbol(";", 4)
    is_pair = all(names[:2]) and reader.at_symbol(".", 2) and ends
    return is_pair and is_datasource is not None and is_datasource(reader.peek(1).value)
