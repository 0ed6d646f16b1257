"""Reads CREATE TABLE of any dialect into one frozen structure with positions.

The words come from sqlglot's tokenizer for the dialect, so comments vanish and literals and quoted names are
whole: nothing inside them is ever taken for a keyword. The structure is read here and not by sqlglot's parser
because that parser gives up on key models, engines and distribution clauses, spells types its own way and
accepts other dialects' words; expressions inside are parsed with sqlglot where a rule needs their columns.

Grammar: CREATE ... TABLE [IF NOT EXISTS] path [ "(" element {"," element} ")" ] {clause} [AS query]. An
element is
a column or a constraint; a clause runs until the next one starts.
"""

from __future__ import annotations

from collections.abc import Sequence

from migration.ddl.lexer import Lexeme, find_words, group, split_top
from migration.ddl.table import ColumnDefinition, ConstraintDefinition, Reference, TableClause, TableStatement
from migration.dialects.base import DialectContract
from migration.dialects.clause_words import (
    ATTRIBUTES,
    CONSTRAINTS,
    INDEX_WORDS,
    NAMES_TOO,
    STARTERS,
    TWO_WORD_TYPES,
    TYPE_WORDS,
)
from migration.errors import MigrationError


def read_table(lexemes: Sequence[Lexeme], text: str, contract: DialectContract) -> TableStatement:
    """The CREATE TABLE in ``lexemes``; 42601 where its structure is broken, 0A000 if it is another
    statement."""
    at = 0
    if not lexemes[0].says("create"):
        raise _another(lexemes)
    while at < len(lexemes) and not lexemes[at].says("table"):
        if lexemes[at].says("(", "as", "view", "index", "schema", "database", "function"):
            raise _another(lexemes)
        at += 1
    if at == len(lexemes):
        raise _another(lexemes)
    modifiers = tuple(lexemes[1:at])
    at += 1
    if find_words(lexemes[at : at + 3], ("if", "not", "exists")) == 0:
        at += 3
    path: list[Reference] = []
    while at < len(lexemes) and _is_name(lexemes[at], contract):
        lexeme = lexemes[at]
        name, end = lexeme.text, at + 1
        while contract.name == "bigquery" and not path and _is_joined(lexemes, end):
            name, end = f"{name}-{lexemes[end + 1].text}", end + 2  # a project's name, such as my-project
        for part in name.split(".") if contract.name == "bigquery" else [name]:
            path.append(Reference(part, lexeme.start + 1, lexeme.kind != "word" or "-" in name))
        at = end
        if at < len(lexemes) and lexemes[at].says("."):
            at += 1
        else:
            break
    if not path:
        raise _broken(
            "the table has no name", lexemes[min(at, len(lexemes) - 1)], "Write CREATE TABLE name (…)."
        )
    if _copies(lexemes[at:], contract):
        return TableStatement(tuple(path), (), (), (), copies=True, modifiers=modifiers)
    columns: list[ColumnDefinition] = []
    constraints: list[ConstraintDefinition] = []
    if contract.name == "clickhouse" and find_words(lexemes[at : at + 1], ("uuid",)) == 0:
        at += 2
    if contract.name == "clickhouse" and find_words(lexemes[at : at + 2], ("on", "cluster")) == 0:
        at += 3
    listed = at < len(lexemes) and lexemes[at].says("(")
    if listed:
        end = group(lexemes, at)
        inner = lexemes[at + 1 : end - 1]
        if not inner or not inner[0].says("select", "with"):
            elements = split_top(inner) if inner else []
            if contract.name in ("duckdb", "clickhouse") and len(elements) > 1 and not elements[-1]:
                elements.pop()  # they take a comma too many at the end
            for element in elements:
                if not element:
                    raise _broken("a column is missing between commas", lexemes[at], "Take a comma out.")
                _read_element(element, text, contract, columns, constraints)
            at = end
    clauses, stray, has_query = _read_clauses(lexemes[at:], text)
    return TableStatement(
        tuple(path),
        tuple(columns),
        tuple(constraints),
        clauses,
        has_query,
        stray,
        listed=listed,
        modifiers=modifiers,
    )


def _is_joined(lexemes: Sequence[Lexeme], at: int) -> bool:
    """Whether a hyphen without blanks around it stands between two words."""
    if at + 1 >= len(lexemes) or not lexemes[at].says("-"):
        return False
    return lexemes[at - 1].end == lexemes[at].start and lexemes[at].end == lexemes[at + 1].start


def _is_name(lexeme: Lexeme, contract: DialectContract) -> bool:
    """Whether it can name a table or a column: in a file's engines a text in single quotes too."""
    return lexeme.is_name or (contract.name in ("sqlite", "duckdb") and lexeme.kind == "string")


_COPYING = {  # dialect: the words behind the name that take another table for a pattern
    **dict.fromkeys(("mysql", "hive", "spark", "starrocks", "doris"), ("like",)),
    "snowflake": ("like", "clone"),
    "bigquery": ("like", "copy", "clone"),
}


def _copies(lexemes: Sequence[Lexeme], contract: DialectContract) -> bool:
    """Whether what follows the name says that the table is as another one, or of a type."""
    if contract.name in _COPYING:
        return any(find_words(lexemes[:1], (word,)) == 0 for word in _COPYING[contract.name])
    if contract.name == "clickhouse":  # AS other, AS function(…), CLONE AS other
        if find_words(lexemes[:2], ("clone", "as")) == 0:
            return True
        return find_words(lexemes[:1], ("as",)) == 0 and not (
            len(lexemes) > 1 and lexemes[1].says("select", "with", "(", "from", "values")
        )
    starts = (("partition", "of"), ("of",))
    return contract.family == "postgres-like" and any(
        find_words(lexemes[: len(words)], words) == 0 for words in starts
    )


def _another(lexemes: Sequence[Lexeme]) -> MigrationError:
    first = " ".join(lexeme.text for lexeme in lexemes[:2])
    return MigrationError("0A000", f"not a CREATE TABLE: {first} ...", position=lexemes[0].start + 1)


def _broken(message: str, lexeme: Lexeme, hint: str) -> MigrationError:
    return MigrationError("42601", message, position=lexeme.start + 1, hint=hint)


def _read_element(
    element: tuple[Lexeme, ...],
    text: str,
    contract: DialectContract,
    columns: list[ColumnDefinition],
    constraints: list[ConstraintDefinition],
) -> None:
    first = element[0]
    if _starts_constraint(element, contract):
        constraints.append(_read_constraint(element, contract))
        return
    if not _is_name(first, contract):
        raise _broken(
            "a column name is expected here", first, "Write a name, and quote one that is no plain word."
        )
    end = _type_end(element, 1)
    type_lexemes = element[1:end]
    type_text = text[type_lexemes[0].start : type_lexemes[-1].end] if type_lexemes else ""
    columns.append(
        ColumnDefinition(
            first.text,
            first.start + 1,
            first.kind != "word",
            type_text,
            (type_lexemes[0].start if type_lexemes else first.start) + 1,
            tuple(element[end:]),
        )
    )


def _starts_constraint(element: Sequence[Lexeme], contract: DialectContract) -> bool:
    """Whether a constraint or an index is meant, and not a column that is called by such a word."""
    first, following = element[0], element[1] if len(element) > 1 else None
    if following is None:
        return first.says(*CONSTRAINTS)
    if first.says("period"):  # of MariaDB's tables with a history
        return following.says("for")
    if first.says(*INDEX_WORDS.get(contract.family, ())):
        return following.kind != "string" and (len(element) > 2 or contract.family != "snowflake")
    if first.says(*NAMES_TOO) and (contract.family != "mysql-like" or first.says("exclude")):
        return following.says(*NAMES_TOO[first.text.lower()])
    if first.says("like") and contract.name == "sqlite":
        return False
    if contract.name == "clickhouse" and not first.says("constraint"):
        return first.says(*CONSTRAINTS) and following.says("key", "(")
    return first.says(*CONSTRAINTS)


def _type_end(element: Sequence[Lexeme], at: int) -> int:
    """Index after the column's type, ``at`` itself if it has none."""
    if at >= len(element) or not element[at].is_name:
        return at
    set_follows = at + 1 < len(element) and element[at + 1].says("set")
    if element[at].says(*ATTRIBUTES) and not (element[at].says("character") and not set_follows):
        return at
    first = element[at].text.lower()
    at += 1
    while at + 1 < len(element) and element[at].says(".") and element[at + 1].is_name:
        at += 2
    while at < len(element) and element[at].says(*TWO_WORD_TYPES.get(first, ())):
        first = element[at].text.lower()
        at += 1
    while at < len(element):
        lexeme = element[at]
        if lexeme.says("(", "<", "["):
            at = group(element, at)
        elif lexeme.says("with", "without") and not _goes_on(element, at):
            break
        elif lexeme.says(*TYPE_WORDS):
            at += 1
        else:
            break
    return at


def _goes_on(element: Sequence[Lexeme], at: int) -> bool:
    """Whether WITH is of TIMESTAMP WITH TIME ZONE: other clauses of a column begin with it too."""
    return at + 1 < len(element) and element[at + 1].says("time", "local")


def _read_constraint(element: tuple[Lexeme, ...], contract: DialectContract) -> ConstraintDefinition:
    rest, name = element, None
    if element[0].says("constraint"):
        rest = element[1:]
        if rest and not rest[0].says("primary", "unique", "foreign", "check"):
            name, rest = Reference(rest[0].text, rest[0].start + 1, rest[0].kind == "quoted"), rest[1:]
    if not rest:
        raise _broken("the constraint is empty", element[0], "Leave it out, or say what it is to be.")
    word = rest[0].text.lower()
    kinds = {
        "primary": "primary",
        "unique": "unique",
        "foreign": "foreign",
        "check": "check",
        "fulltext": "fulltext",
    }
    kind = kinds.get(word, "index" if word in ("key", "index", "spatial") else "other")
    opening = next((index for index, lexeme in enumerate(rest) if lexeme.says("(")), None)
    columns: tuple[Reference, ...] = ()
    if kind == "index" and contract.name == "clickhouse":
        pass  # INDEX name expression TYPE …: no list of columns
    elif opening is not None and kind in ("primary", "unique", "foreign", "index", "fulltext"):
        columns = listed_columns(rest[opening + 1 : group(rest, opening) - 1])
    elif opening is None and kind == "primary" and len(rest) == 3 and rest[2].is_name:
        columns = listed_columns(rest[2:])  # ClickHouse: PRIMARY KEY id
    return ConstraintDefinition(kind, rest[0].start + 1, columns, rest, name)  # type: ignore[arg-type]


def listed_columns(lexemes: Sequence[Lexeme]) -> tuple[Reference, ...]:
    """The columns of a plain list ``a, b(10), c DESC``; parts that are expressions are left out."""
    found: list[Reference] = []
    for part in split_top(lexemes):
        if not part or not part[0].is_name:
            continue
        call = len(part) > 1 and part[1].says("(")
        prefix = call and len(part) > 3 and part[2].kind == "number" and part[3].says(")")
        alone = len(part) == 1 or part[1].kind != "symbol"
        if alone or prefix:
            found.append(Reference(part[0].text, part[0].start + 1, part[0].kind == "quoted", prefix))
    return tuple(found)


def _read_clauses(
    lexemes: Sequence[Lexeme], text: str
) -> tuple[tuple[TableClause, ...], tuple[Lexeme, ...], bool]:
    found: list[tuple[str, int, int]] = []  # name, index of its start, index of its body
    has_query = False
    depth = 0
    end = len(lexemes)
    at = 0
    while at < len(lexemes):
        lexeme = lexemes[at]
        depth += lexeme.says("(") - lexeme.says(")")
        if depth < 0:
            raise _broken("a parenthesis too many", lexeme, "Take it out.")
        if (
            lexeme.says("replace", "ignore")
            and at + 1 < len(lexemes)
            and lexemes[at + 1].says("as", "select")
        ):
            has_query, end = True, at  # MySQL: what to do with rows of one key
            break
        of_format = bool(found) and found[-1][0] == "stored_as" and at == found[-1][2]
        if depth == 0 and lexeme.says("as", "select") and not of_format:
            has_query, end = True, at
            break
        started = _starter(lexemes, at) if depth == 0 else None
        if started and started[0] == "table_option" and found and found[-1][0] == "settings":
            started = None  # one of ClickHouse's settings, not a clause
        if started and not (found and found[-1][0] == "stored_as" and at == found[-1][2]):
            name, length = started
            found.append((name, at, at + length))
            at += length
        else:
            at += 1
    stray = tuple(lexemes[: found[0][1] if found else end])
    bounds = [start for _, start, _ in found][1:] + [end] * bool(found)
    clauses = tuple(
        TableClause(
            name,
            lexemes[start].start + 1,
            tuple(lexemes[body:stop]),
            text[lexemes[start].start : lexemes[body - 1].end],
        )
        for (name, start, body), stop in zip(found, bounds, strict=True)
    )
    return clauses, stray, has_query


_STARTERS: dict[str, list[tuple[tuple[str, ...], str]]] = {}  # by the first word
for _words, _name in STARTERS.items():
    _STARTERS.setdefault(_words[0], []).append((_words, _name))


def _starter(lexemes: Sequence[Lexeme], at: int) -> tuple[str, int] | None:
    for words, name in _STARTERS.get(lexemes[at].text.lower(), ()):
        window = lexemes[at : at + len(words)]
        if len(window) == len(words) and all(
            part.says(word) for part, word in zip(window, words, strict=True)
        ):
            length = len(words)
            if name == "distributed_by" and at + 1 < len(lexemes) and lexemes[at + 1].says("by"):
                length = 2
            return name, length
    if lexemes[at].kind == "word" and at + 1 < len(lexemes) and lexemes[at + 1].says("="):
        return "table_option", 1
    return None
