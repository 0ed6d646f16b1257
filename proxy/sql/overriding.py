"""``INSERT … OVERRIDING SYSTEM|USER VALUE``: a clause that the tree has no place for.

It is taken out of the text before that is read, and noted at the tree: ``meta["overriding"]`` is ``system``, ``user``
or nothing. What has such a note is a client's statement, and may give an identity column no value unless the note says
so (``branching.dml.identity``).
"""

from __future__ import annotations

from sqlglot import exp

from proxy.sql import postgres_grammar as grammar

KEY = "overriding"
_WHOSE = {"SYSTEM_P": "system", "USER": "user"}


def take_out(text: str) -> tuple[str, str]:
    """``text`` with blanks in the place of the clause, and what that said."""
    if KEY not in text.lower():
        return text, ""
    tokens = grammar.tokens(text)
    for first, second, third in zip(tokens, tokens[1:], tokens[2:], strict=False):
        if (first.name, third.name) == ("OVERRIDING", "VALUE_P") and second.name in _WHOSE:
            blank = " " * (third.stop - first.start)
            return text[: first.start] + blank + text[third.stop :], _WHOSE[second.name]
    return text, ""


def note(tree: exp.Expr, said: str) -> None:
    """Notes at a statement that writes what its clause said."""
    if isinstance(tree, exp.Insert | exp.Update | exp.Merge):
        tree.meta[KEY] = said
