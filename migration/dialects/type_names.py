"""Reads a type as a dialect spells it, with parameters and names of several words.

The reader splits the text into words, numbers, strings and marks, then applies one grammar for all dialects::

    type  = words [ "(" args ")" | "<" args ">" ] words { "[" [n] "]" | "ARRAY" }
    args  = arg { "," arg }        arg = number | string [ "=" number ] | [ name [ ":" ] ] type

The words choose the entry in the dialect's spelling table (``migration.dialects.spelling``). Words that say
how to compare or store text (``CHARACTER SET``, ``COLLATE``, ``NOT NULL`` inside a type) are skipped. A
name that is not in
the table gives ``unknown``, never an error: only text that is no type at all is refused.
"""

from __future__ import annotations

import re
from dataclasses import replace

from migration.dialects import contract
from migration.dialects.spelling import Argument, Arguments, Spellings, words
from migration.errors import MigrationError
from migration.types import CanonicalType, list_of, unknown

_TOKEN = re.compile(
    r"""\s*(?: (?P<string>'(?:[^']|'')*')
        | (?P<path>(?:[^\W\d][\w$]*\.)*"(?:[^"]|"")*"(?:\.(?:[^\W\d][\w$]*|"(?:[^"]|"")*"))+
            |(?:[^\W\d][\w$]*\.)+"(?:[^"]|"")*")
        | (?P<quoted>"(?:[^"]|"")*"|`[^`]*`)
        | (?P<number>-?\d+(?:\.\d+)?) | (?P<word>[^\W\d][\w$%.]*) | (?P<mark>[()<>\[\],:=]) )""",
    re.VERBOSE,
)
# ClickHouse and MySQL write type names with their literals' escapes: Enum8('a\'b' = 1).
_ESCAPED = re.compile(
    _TOKEN.pattern.replace("'(?:[^']|'')*'", r"'(?:[^'\\]|\\.|'')*'").replace(
        "`[^`]*`", r"`(?:[^`\\]|\\.)*`"
    ),
    re.VERBOSE | re.DOTALL,
)
_ESCAPES = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "0": "\0", "a": "\a", "v": "\v"}
# Words that continue a type name after its first word or its parameters.
_FOLLOWING = frozenset(
    words(
        "precision varying unsigned signed zerofill with without local time zone to year month "
        "day hour minute second large object big bit data national byte"
    )
)
_FIRST_OF_TWO = {
    "national": ("character", "char", "varchar"),
    "long": ("varchar", "varbinary", "text", "raw", "blob"),
    "unsigned": ("big",),
    "big": ("int",),
    "native": ("character",),
    "varying": ("character",),
    "nchar": ("varchar",),
}
_CONTINUED = frozenset(
    words(
        "timestamp time datetime double character char bit int integer bigint smallint tinyint "
        "mediumint interval float decimal numeric binary nchar varchar national long"
    )
)
_CLOSING = {"(": ")", "<": ">", "[": "]"}
_DEEPEST = 100  # levels of a type

Token = tuple[str, str]


def parse_type(text: str, dialect: str = "postgres") -> CanonicalType:
    """The canonical type of ``text`` in ``dialect``; unknown names give kind ``unknown``.

    >>> str(parse_type("Nullable(DateTime64(3, 'UTC'))", "clickhouse"))
    'instant(3)'
    """
    item = contract(dialect)
    tokens = _tokens(text, escaped=item.name in ("clickhouse", "mysql"))
    reader = _Reader(tokens, item.spellings, text)
    result = reader.type()
    reader.expect_end()
    return result


def is_nullable_type(text: str) -> bool:
    """True for ClickHouse spellings that admit NULL."""
    compact = re.sub(r"\s+", "", text).lower()
    return compact.startswith(("nullable(", "lowcardinality(nullable("))


def _tokens(text: str, *, escaped: bool = False) -> list[Token]:
    tokens: list[Token] = []
    at = 0
    text = text.rstrip()
    while at < len(text):
        match = (_ESCAPED if escaped else _TOKEN).match(text, at)
        if match is None:
            raise _no_type(text)
        group = match.lastgroup or ""
        value = match.group(group)
        if group == "string":
            value = value[1:-1].replace("''", "'")
        elif group == "quoted":
            value = value[1:-1].replace('""', '"') if value[0] == '"' else value[1:-1]
        if escaped and group in ("string", "quoted"):
            value = re.sub(r"(?s)\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), value)
        tokens.append((group, value))
        at = match.end()
    if not tokens:
        raise _no_type(text)
    return tokens


def _no_type(text: str) -> MigrationError:
    return MigrationError(
        "42601", f"{text!r} is not a type", hint="Write it as the dialect does, such as numeric(18,4)."
    )


class _Reader:
    """One pass over the tokens of one type."""

    def __init__(self, tokens: list[Token], spellings: Spellings, text: str) -> None:
        self.tokens = tokens
        self.spellings = spellings
        self.text = text
        self.at = 0
        self.depth = 0

    def peek(self, ahead: int = 0) -> Token:
        index = self.at + ahead
        return self.tokens[index] if index < len(self.tokens) else ("end", "")

    def accept(self, mark: str) -> bool:
        if self.peek() == ("mark", mark):
            self.at += 1
            return True
        return False

    def expect_end(self) -> None:
        if self.at < len(self.tokens):
            raise _no_type(self.text)

    def type(self) -> CanonicalType:
        kind, first = self.peek()
        if kind not in ("word", "quoted", "path"):
            raise _no_type(self.text)
        self.at += 1
        self._deeper()
        words = [first if kind == "path" else first.lower()]
        if (
            kind == "quoted" and f'"{first}"' in self.spellings
        ):  # PostgreSQL's "char" is another type than its char
            words = [f'"{first}"']
        while self.peek()[0] == "word" and self.peek()[1].lower() in _FIRST_OF_TWO.get(words[-1], ()):
            words.append(self.peek()[1].lower())
            self.at += 1
        self._more_words(words)
        arguments: Arguments = ()
        bare = True
        while self.peek() in (("mark", "("), ("mark", "<")):
            found = self._arguments()
            arguments = arguments or found
            bare = False
            self._more_words(words)
        result = self._suffixes(self._build(words, arguments, bare))
        self.depth -= 1
        return result

    def _deeper(self) -> None:
        self.depth += 1
        if self.depth > _DEEPEST:
            raise MigrationError(
                "54001",
                "the type is nested too deeply",
                detail=f"It has more than {_DEEPEST} levels.",
                hint="Keep what is deeper as JSON.",
            )

    def _more_words(self, words: list[str]) -> None:
        while self.peek()[0] == "word":
            word = self.peek()[1].lower()
            if word in ("character", "charset", "collate"):
                self.at += 1
                if self.peek()[1].lower() == "set":
                    self.at += 1
                self.at += 1
            elif word == "not" and self.peek(1)[1].lower() == "null":
                self.at += 2
            elif word == "null":
                self.at += 1
            elif word in _FOLLOWING:
                words.append(word)
                self.at += 1
            else:
                return

    def _build(self, words: list[str], arguments: Arguments, bare: bool) -> CanonicalType:
        if "zerofill" in words:  # MySQL: implies unsigned
            words = [word for word in words if word not in ("zerofill", "unsigned")] + ["unsigned"]
        name = " ".join(word for word in words if word != "signed")
        if name not in self.spellings and words[0] == "interval":
            name = "interval"  # INTERVAL DAY TO SECOND and the rest of that family
        if name not in self.spellings and name.startswith("pg_catalog."):
            name = name.removeprefix("pg_catalog.")
        sized = f"{name}({arguments[0].number})" if len(arguments) == 1 else ""
        entry = self.spellings.get(sized) or self.spellings.get(name)
        if entry is None:
            return unknown(self.text.strip() if bare else name)
        return entry if isinstance(entry, CanonicalType) else entry(arguments)

    def _suffixes(self, result: CanonicalType) -> CanonicalType:
        outside = self.depth
        while True:
            if self.accept("["):
                if self.peek()[0] == "number":
                    self.at += 1
                if not self.accept("]"):
                    raise _no_type(self.text)
            elif self.peek() == ("word", self.peek()[1]) and self.peek()[1].lower() == "array":
                self.at += 1
                if self.peek() == ("mark", "["):
                    continue
            else:
                self.depth = outside
                return result
            self._deeper()
            result = list_of(result)

    def _arguments(self) -> Arguments:
        closing = _CLOSING[self.peek()[1]]
        self.at += 1
        arguments: list[Argument] = []
        while not self.accept(closing):
            if self.peek()[0] == "end":
                raise _no_type(self.text)
            arguments.append(self._argument())
            if not self.accept(",") and self.peek() != ("mark", closing):
                raise _no_type(self.text)
        return tuple(arguments)

    def _argument(self) -> Argument:
        kind, value = self.peek()
        if kind == "number":
            self.at += 1
            while self.peek()[0] == "word" and self.peek()[1].lower() in ("char", "byte", "bytes"):
                self.at += 1  # Oracle-like VARCHAR(10 CHAR)
            return Argument(number=int(float(value)))
        if kind == "string":
            self.at += 1
            if self.accept("="):
                self.at += 1
            return Argument(string=value)
        if kind == "word" and self.peek(1) == ("mark", "="):  # JSON(max_dynamic_paths = 3)
            self.at += 2
            return replace(self._argument(), name=value)
        if kind == "word" and value.lower() == "skip" and self.peek(1)[1].lower() == "regexp":
            self.at += 3
            return Argument(name="skip")
        if kind == "word" and value.lower() == "max":
            self.at += 1
            return Argument(name="max")
        if self.peek(1) == ("mark", ":") and kind in ("word", "quoted"):
            self.at += 2
            return Argument(name=value, type=self.type())
        if kind == "quoted" or self._is_named():
            self.at += 1
            return Argument(name=value, type=self.type())
        return Argument(type=self.type())

    def _is_named(self) -> bool:
        """A word followed by a word is ``name type``, unless the two are one type name."""
        if self.peek()[0] != "word" or self.peek(1)[0] not in ("word", "quoted"):
            return False
        word, following = self.peek()[1].lower(), self.peek(1)[1].lower()
        if following == "array":  # a suffix, unless it starts a type of its own
            return self.peek(2)[1] in ("(", "<")
        if following in ("not", "null", "collate", "charset") or following in _FIRST_OF_TWO.get(word, ()):
            return False
        return not (word in _CONTINUED and following in _FOLLOWING)
