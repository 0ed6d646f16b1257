"""What a statement may be as a whole: words before TABLE, parts of its name, one primary key, names given twice."""

from __future__ import annotations

from collections.abc import Iterator

from migration.ddl.lexer import group, split_top
from migration.ddl.rules.base import Rule, Subject, Violation, error
from migration.ddl.table import ConstraintDefinition
from migration.dialects.clause_words import ATTRIBUTES
from migration.dialects.spelling import words

_TEMPORARY = "temp temporary"
_MODIFIERS = {  # dialect: the words it takes between CREATE and TABLE
    "postgres": frozenset(words(f"{_TEMPORARY} global local unlogged foreign")),
    "greenplum": frozenset(
        words(f"{_TEMPORARY} global local unlogged foreign external web writable readable")
    ),
    "redshift": frozenset(words(f"{_TEMPORARY} local external")),
    "mysql": frozenset(words("temporary")),
    "sqlite": frozenset(words(_TEMPORARY)),
    "duckdb": frozenset(words(f"or replace {_TEMPORARY} local global")),
    "clickhouse": frozenset(words("or replace temporary")),
    "starrocks": frozenset(words("temporary external")),
    "doris": frozenset(words("external temporary")),
    "hive": frozenset(words("external temporary managed transactional")),
}
_PARTS = {
    "mysql": 2,
    "sqlite": 2,
    "clickhouse": 2,
    "hive": 2,
    "postgres": 3,
    "greenplum": 3,
    "redshift": 3,
    "duckdb": 3,
}
_KEYLESS_QUERY = (
    "sqlite",
    "duckdb",
    "postgres",
    "greenplum",
    "redshift",
)  # whose AS takes names of columns at most


def modifiers(subject: Subject) -> Iterator[Violation]:
    """CREATE OR REPLACE, TEMPORARY, UNLOGGED: each where it exists."""
    taken = _MODIFIERS.get(subject.contract.name)
    if taken is None:
        return
    if subject.mariadb:
        taken = taken | {"or", "replace"}
    for word in subject.table.modifiers:
        if not word.says(*taken):
            message = f"{subject.contract.name} has no CREATE {word.text.upper()} … TABLE"
            if word.says("or"):
                message = f"{subject.contract.name} has no CREATE OR REPLACE TABLE"
            yield error("statement.form", word.start + 1, message, "Write CREATE TABLE name (…).")
            return
    commit = subject.table.clause("on_commit")
    if commit and not any(word.says("temp", "temporary") for word in subject.table.modifiers):
        message, fix = (
            "ON COMMIT belongs to a temporary table",
            "Write CREATE TEMPORARY TABLE, or leave it out.",
        )
        yield error("clause.temporary", commit.position, message, fix)


def parts(subject: Subject) -> Iterator[Violation]:
    """A name has as many parts as the dialect has levels."""
    most = _PARTS.get(subject.contract.name)
    path = subject.table.path
    if most is not None and len(path) > most:
        message = f"a table's name has at most {most} parts there"
        yield error("identifier.parts", path[0].position, message, f"Name its last {most}.")


def one_primary_key(subject: Subject) -> Iterator[Violation]:
    """A table has one primary key, written in one place."""
    places = [item.position for item in subject.table.constraints if item.kind == "primary"]
    for column in subject.table.columns:
        said = zip(column.attributes, column.attributes[1:], strict=False)
        places += [column.position for word, next_ in said if word.says("primary") and next_.says("key")]
    places += [clause.position for clause in subject.table.clauses if clause.name == "primary_key"]
    if len(places) > 1:
        fix = "Name all its columns in one PRIMARY KEY (…)."
        yield error("key.second", sorted(places)[1], "a table has one primary key", fix)


def listed_and_asked(subject: Subject) -> Iterator[Violation]:
    """A query brings its types: the list before it has names only, or is not there."""
    table = subject.table
    if not table.has_query or subject.contract.name not in _KEYLESS_QUERY:
        return
    for column in table.columns:
        if column.type_text or subject.contract.name == "sqlite":
            allowed = "no list of columns" if subject.contract.name == "sqlite" else "names of columns only"
            message = f"CREATE TABLE … AS takes {allowed}"
            yield error(
                "column.typed", column.position, message, "Cast in the query: SELECT CAST(a AS type)."
            )
            return


def key_expressions(subject: Subject) -> Iterator[Violation]:
    """PRIMARY KEY and UNIQUE name columns; an expression needs an index of its own."""
    if subject.contract.name not in ("sqlite", "duckdb", "postgres", "greenplum", "redshift"):
        return
    for item in subject.table.constraints:
        opening = next((i for i, lexeme in enumerate(item.lexemes) if lexeme.says("(")), None)
        inside = item.lexemes[opening + 1 : opening + 3] if opening is not None else ()
        if item.kind in ("primary", "unique") and len(inside) > 1 and inside[1].says("("):
            message = f"a {item.kind} key names columns, no expressions"
            yield error(
                "key.expression", inside[0].start + 1, message, "CREATE UNIQUE INDEX takes an expression."
            )


def empty_keys(subject: Subject) -> Iterator[Violation]:
    """A key has a column."""
    for item in subject.table.constraints:
        opening = next((i for i, lexeme in enumerate(item.lexemes) if lexeme.says("(")), None)
        if opening is None or item.kind not in ("primary", "unique", "foreign", "fulltext"):
            continue
        if item.lexemes[opening + 1 : opening + 2] and item.lexemes[opening + 1].says(")"):
            yield error(
                "syntax", item.position, f"the {item.kind} key has no column", "Name one, or leave it out."
            )


def references(subject: Subject) -> Iterator[Violation]:
    """A foreign key has as many columns as it refers to."""
    for item in subject.table.constraints:
        at = next((i for i, lexeme in enumerate(item.lexemes) if lexeme.says("references")), None)
        opening = next(
            (i for i, lexeme in enumerate(item.lexemes) if lexeme.says("(") and i > (at or 0)), None
        )
        listed = at is not None and opening is not None and opening <= at + 6  # a.b.c (…)
        if item.kind != "foreign" or at is None or opening is None or not listed:
            continue
        named = len(split_top(item.lexemes[opening + 1 : group(item.lexemes, opening) - 1]))
        if named != len(item.columns):
            message = f"{len(item.columns)} columns refer to {named}"
            position = item.lexemes[opening].start + 1
            yield error("key.reference", position, message, "Name as many columns there as here.")


def stray_words(subject: Subject) -> Iterator[Violation]:
    """Behind a type come attributes: a word that is none is a comma forgotten."""
    name = subject.contract.name
    for column in subject.table.columns:
        first = column.attributes[0] if column.attributes else None
        if first is not None and first.kind == "symbol":
            message = f'"{first.text}" is not expected behind "{column.name}"'
            yield error("syntax", first.start + 1, message, "Quote a name that is no plain word.")
        if name in ("sqlite", "generic", "trino-jdbc"):
            continue
        if first is not None and first.kind in ("word", "quoted") and not first.says(*ATTRIBUTES, *_MORE):
            message = f'"{first.text}" is not expected behind the type {column.type_text}'
            yield error("syntax", first.start + 1, message, "A comma may be missing before it.")


_MORE = words(  # attributes that no rule asks for
    "storage compression encoding byte using binary ascii unicode srid column_format engine_attribute persistent "
    "secondary_engine_attribute index unsigned signed with without bitmap enforced sequence deferrable initially "
    "options for hidden compressed reference set character varying statistics settings"
)


def named_twice(subject: Subject) -> Iterator[Violation]:
    """Constraints and keys have names of their own (PostgreSQL; MySQL's checks and keys)."""
    if subject.contract.name not in ("postgres", "greenplum", "mysql"):
        return
    seen: set[tuple[str, str]] = set()
    for item in subject.table.constraints:
        found = _name_of(subject, item)
        kind = item.kind if subject.contract.name == "mysql" else ""
        kind = "index" if kind in ("unique", "primary", "fulltext") else kind
        if found is None:
            continue
        name, position = found
        if (kind, name.lower()) in seen:
            yield error("constraint.repeated", position, f'"{name}" names two constraints', "Rename one.")
        seen.add((kind, name.lower()))


def _name_of(subject: Subject, item: ConstraintDefinition) -> tuple[str, int] | None:
    """The name in front of a constraint (CONSTRAINT c …), or behind MySQL's KEY."""
    if item.name is not None:
        return item.name.name, item.name.position
    if subject.contract.name == "mysql" and item.kind in ("index", "unique", "fulltext"):
        rest = [
            lexeme for lexeme in item.lexemes[:3] if not lexeme.says("unique", "fulltext", "key", "index")
        ]
        if rest and rest[0].is_name and not rest[0].says("using"):
            return rest[0].text, rest[0].start + 1
    return None


RULES: tuple[Rule, ...] = (
    modifiers,
    parts,
    one_primary_key,
    listed_and_asked,
    key_expressions,
    empty_keys,
    references,
    stray_words,
    named_twice,
)
