"""A cursor over the tokens of one command: what the grammar is written with.

Rules:

1. ``at`` looks, ``accept`` takes if it is there, ``expect`` takes or raises; nothing ever steps back.
2. Every syntax error has Postgres' words, the position of the token that did not fit, and as HINT the
   ``form`` of the command being read.
3. An unquoted name is folded and must not be one of Postgres' reserved words; a quoted name or a string
   literal may be anything ``check_name`` allows.
"""

from __future__ import annotations

from collections.abc import Iterator

from branching.errors import BoughError

from .names import check_name
from .tokens import LONGEST_SHOWN, Token, tokens

_POSTGRES_RESERVED = """
    all and any array as asc both case cast check collate column constraint create default desc
    distinct do else end except false for foreign from grant group having in initially intersect
    into lateral leading limit not null offset on only or order placing primary references returning
    select some symmetric table then to trailing true union unique user using variadic when where
    window with
"""
RESERVED = frozenset(_POSTGRES_RESERVED.split())

Path = tuple[str, ...]


class Reader:
    """The tokens of ``text`` with one token of progress at a time."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.form = ""
        self._source: Iterator[Token] = tokens(text)
        self._read: list[Token] = []
        self._index = 0

    def peek(self, ahead: int = 0) -> Token:
        """The token ``ahead`` of the next one; the end repeats itself."""
        while len(self._read) <= self._index + ahead:
            if self._read and self._read[-1].kind == "end":
                return self._read[-1]
            self._read.append(next(self._source))
        return self._read[self._index + ahead]

    def take(self) -> Token:
        token = self.peek()
        if token.kind != "end":
            self._index += 1
        return token

    def at(self, *words: str) -> bool:
        """Whether the next tokens are these keywords."""
        for ahead, word in enumerate(words):
            token = self.peek(ahead)
            if token.kind != "word" or token.value != word.lower():
                return False
        return True

    def accept(self, *words: str) -> bool:
        if not self.at(*words):
            return False
        self._index += len(words)
        return True

    def expect(self, *words: str) -> None:
        for word in words:
            if not self.accept(word):
                raise self.error()

    def at_symbol(self, symbol: str, ahead: int = 0) -> bool:
        token = self.peek(ahead)
        return token.kind == "symbol" and token.value == symbol

    def accept_symbol(self, symbol: str) -> bool:
        if not self.at_symbol(symbol):
            return False
        self._index += 1
        return True

    def expect_symbol(self, symbol: str) -> None:
        if not self.accept_symbol(symbol):
            raise self.error()

    def at_end(self) -> bool:
        """Whether nothing but a closing semicolon is left."""
        return self.peek().kind == "end" or (self.at_symbol(";") and self.peek(1).kind == "end")

    def end(self) -> None:
        if not self.at_end():
            raise self.error()

    def at_name(self, *, besides: tuple[str, ...] = ()) -> bool:
        """Whether a name is next; ``besides`` are the clause words that end an optional name."""
        token = self.peek()
        if token.kind == "word":
            return token.value not in RESERVED and token.value not in besides
        return token.kind in ("quoted", "string")

    def name(self, what: str = "name") -> str:
        """A name: a folded word, ``"a quoted one"`` or ``'a string'``."""
        token = self.peek()
        if not self.at_name():
            raise self.error()
        self._index += 1
        checked = check_name(token.value, what, position=token.start + 1)
        joint = self.peek()
        if token.kind == "word" and joint.start == token.end and joint.raw in ("-", "/", "@", ":"):
            raise self.error(hint=f'Put a name with "{joint.raw}" in it between double quotes.')
        return checked

    def path(self, what: str = "name") -> Path:
        """A dotted name; one string literal may hold all of it, ``'public.flights'``, or a part: ``'my db'.t``."""
        token = self.peek()
        if token.kind == "string" and not self.at_symbol(".", 1):
            self._index += 1
            return split_path(token.value, what, position=token.start + 1)
        parts = [self.name(what)]
        while self.accept_symbol("."):
            parts.append(self.column(what, kinds=("word", "quoted", "string")))
        return tuple(parts)

    def column(self, what: str = "column name", *, kinds: tuple[str, ...] = ("word", "quoted")) -> str:
        """A name after a dot or in a column list, where reserved words are welcome."""
        token = self.peek()
        if token.kind not in kinds:
            raise self.error()
        self._index += 1
        return check_name(token.value, what, position=token.start + 1)

    def columns(self) -> tuple[str, ...]:
        """``(a, "B", 'c')``"""
        self.expect_symbol("(")
        names = [self.named_column()]
        while self.accept_symbol(","):
            names.append(self.named_column())
        self.expect_symbol(")")
        return tuple(names)

    def named_column(self) -> str:
        """A column's name where nothing but one can stand: also as a string."""
        return self.column(kinds=("word", "quoted", "string"))

    def string(self) -> str:
        token = self.peek()
        if token.kind != "string":
            raise self.error()
        self._index += 1
        return token.value

    def integer(self) -> int:
        """A whole number, also as a string literal."""
        token = self.peek()
        if token.kind not in ("number", "string") or not token.value.isdecimal() or len(token.value) > 18:
            raise self.error()
        self._index += 1
        return int(token.value)

    def number(self) -> float:
        token = self.peek()
        if token.kind not in ("number", "string"):
            raise self.error()
        try:
            value = float(token.value)
        except ValueError:
            raise self.error() from None
        self._index += 1
        return value

    def parenthesised(self) -> tuple[str, int]:
        """The text between ``(`` and the ``)`` that closes it, and its offset."""
        opening = self.peek()
        self.expect_symbol("(")
        depth = 1
        while True:
            token = self.take()
            if token.kind == "end":
                raise self.error(token)
            if token.kind == "symbol":
                depth += {"(": 1, ")": -1}.get(token.value, 0)
            if depth == 0:
                return self.text[opening.end : token.start].strip(), opening.end
            if depth == 1 and token.kind == "symbol" and token.value == ";":
                raise self.error(token)

    def rest(self) -> tuple[list[Token], int]:
        """All tokens that are left (without a closing semicolon), taken, and where they began."""
        taken: list[Token] = []
        start = self.peek().start
        while not self.at_end():
            token = self.take()
            if token.kind == "symbol" and token.value == ";":
                raise self.error(token)
            taken.append(token)
        return taken, start

    def error(self, token: Token | None = None, *, hint: str | None = None) -> BoughError:
        """The syntax error at ``token`` (default: the next one)."""
        at = token or self.peek()
        near = "at end of input" if at.kind == "end" else f'at or near "{at.raw[:LONGEST_SHOWN]}"'
        advice = hint or (f"The form is: {self.form}" if self.form else None)
        return BoughError("42601", f"syntax error {near}", hint=advice, position=at.start + 1)


def split_path(text: str, what: str = "name", *, position: int | None = None) -> Path:
    """``'public."My Table"'`` as its parts, by the rules of an unquoted text."""
    reader = Reader(text)
    try:
        parts = [reader.column(what)]
        while reader.accept_symbol("."):
            parts.append(reader.column(what))
        if reader.peek().kind == "end":
            return tuple(parts)
    except BoughError as error:
        if error.sqlstate != "42601":
            raise
    raise BoughError(
        "42602",
        f'"{text[:LONGEST_SHOWN]}" is not a {what}',
        hint='Write it as SQL has it: schema.table, or schema."My Table".',
        position=position,
        detail="A name is plain, \"Quoted\" or a 'string', with dots between its parts.",
    )
