"""Rules of MySQL and MariaDB: keys with prefixes, sizes of rows and keys, generated numbers (manual 8.4.7, 15.22).

What MariaDB takes and MySQL does not is *run* on MariaDB 10.11.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from migration.ddl.lexer import group
from migration.ddl.rules.base import (
    Rule,
    Subject,
    Violation,
    base_name,
    error,
    expression_names,
    repeated,
    warning,
)
from migration.ddl.rules.expressions import default_of
from migration.ddl.table import ColumnDefinition, ConstraintDefinition, Reference
from migration.dialects.spelling import words
from migration.types import fixed_bytes

_UNSIZED = words("tinytext text mediumtext longtext long tinyblob blob mediumblob longblob json")
_PLAIN = words("bool boolean date json tinytext mediumtext longtext tinyblob mediumblob longblob serial")
_ROW = 65535
_INDEX = 3072
_CHARSETS = {"latin1": 1, "ascii": 1, "binary": 1, "utf8": 3, "utf8mb3": 3, "ucs2": 2}  # others: 4
_ENGINES = frozenset(
    words(
        "innodb myisam memory heap csv archive blackhole merge mrg_myisam federated ndb ndbcluster aria rocksdb "
        "myrocks tokudb columnstore connect sequence spider mroonga s3 oqgraph sphinx example federatedx"
    )
)
_WIDTHS = {"bit": 64, "binary": 255}  # the most that stands in the brackets behind the type


def keys(subject: Subject) -> Iterator[Violation]:
    """Keys of TEXT need a prefix; an index key holds 3,072 bytes. MariaDB cuts a plain one and hashes a unique one."""
    if subject.contract.name != "mysql":
        return
    for constraint in subject.table.constraints:
        if constraint.kind in ("primary", "unique", "index") and not _is_spatial(constraint):
            yield from _key(subject, constraint.columns, constraint.kind)
        if _is_spatial(constraint):
            yield from _spatial(subject, constraint)
        inside = next((i for i, lexeme in enumerate(constraint.lexemes) if lexeme.says("(")), None)
        call = inside is not None and [each.text for each in constraint.lexemes[inside : inside + 2]] == [
            "(",
            "(",
        ]
        if call and subject.mariadb and constraint.kind in ("unique", "index"):
            message = "MariaDB has no index of an expression"
            yield error("key.expression", constraint.position, message, "Index a generated column.")
        yield from _set_null(subject, constraint)
    for column in subject.table.columns:
        kind = "primary" if column.has("primary", "key") else "unique"
        if column.has("primary", "key") or column.has("unique"):
            yield from _key(subject, (Reference(column.name, column.position),), kind)


def _is_spatial(constraint: ConstraintDefinition) -> bool:
    return bool(constraint.lexemes) and constraint.lexemes[0].says("spatial")


def _key(subject: Subject, names: tuple[Reference, ...], kind: str) -> Iterator[Violation]:
    size = 0
    lenient = subject.mariadb and kind != "primary"
    for name in names:
        column = subject.table.column(name.name)
        if column is None:
            continue
        if name.prefix:
            yield from _prefix(subject, column, name)
            continue
        if base_name(column) in _UNSIZED:
            message = f'"{column.name}" of type {column.type_text} in a key needs a prefix length'
            fix = f"Use VARCHAR(n) or {column.name}(191)."
            if base_name(column) == "json":
                fix = "Index a generated column of the value that is looked for."
            if not lenient:
                yield error("key.prefix", name.position, message, fix)
            elif kind == "index":
                yield warning("key.prefix", name.position, message + ": it is cut to 3,072 bytes", fix)
            return
        size += _bytes(subject, column, key=True) or 8
    if size > _INDEX and not (lenient and kind == "unique"):
        message = f"the key may take {size:,} bytes; InnoDB's limit is {_INDEX:,}"
        make = warning if lenient else error
        yield make("key.size", names[0].position, message, "Shorten the VARCHARs or use a prefix.")


def _prefix(subject: Subject, column: ColumnDefinition, name: Reference) -> Iterator[Violation]:
    type_ = subject.type_of(column)
    length = _number(subject, name)
    fits = type_.kind in ("text", "bytes", "unknown") and (
        type_.length is None or length is None or length <= type_.length
    )
    if not fits:
        message = f'the prefix of "{column.name}" is longer than {column.type_text}, or that has none'
        yield error("key.prefix", name.position, message, f"Write {column.name} without a length.")


def _number(subject: Subject, name: Reference) -> int | None:
    found = re.compile(r"[^()]*\(\s*(\d+)").match(subject.text, name.position - 1)
    return int(found[1]) if found else None


def _spatial(subject: Subject, constraint: ConstraintDefinition) -> Iterator[Violation]:
    for name in constraint.columns:
        column = subject.table.column(name.name)
        if column is not None and not column.has("not", "null"):
            message = f'"{name.name}" of a SPATIAL index must be NOT NULL'
            yield error("key.nullable", name.position, message, "Add NOT NULL.")


def _set_null(subject: Subject, constraint: ConstraintDefinition) -> Iterator[Violation]:
    said = [lexeme.text.lower() for lexeme in constraint.lexemes]
    if constraint.kind != "foreign" or "set null" not in " ".join(said):
        return
    for name in constraint.columns:
        column = subject.table.column(name.name)
        if column is not None and column.has("not", "null"):
            message = f'SET NULL and NOT NULL of "{name.name}"'
            yield error(
                "key.set_null", name.position, message, "Leave NOT NULL out, or use RESTRICT or CASCADE."
            )


def columns(subject: Subject) -> Iterator[Violation]:
    """Bare defaults of TEXT in MySQL, widths, members of an ENUM."""
    if subject.contract.name != "mysql":
        return
    for column in subject.table.columns:
        word = base_name(column)
        if (
            word in _UNSIZED
            and column.has("default")
            and not column.has("default", "(")
            and not subject.mariadb
        ):
            default = next(i for i, lexeme in enumerate(column.attributes) if lexeme.says("default"))
            following = column.attributes[default + 1 : default + 2]
            if following and not following[0].says("(", "null"):
                message = f"{column.type_text} takes a default in parentheses only"
                yield error("default.form", column.position, message, "DEFAULT ('...')")
        type_ = subject.type_of(column)
        yield from _parameters(column)
        yield from _default_form(column)
        if subject.mariadb and column.has("constraint"):
            message = "the constraint of a column has no name"
            yield error(
                "constraint.form",
                column.position,
                message,
                "Write it behind the columns, or without CONSTRAINT.",
            )
        if word in ("enum", "set") and not re.search(r"\(\s*[^)\s]", column.type_text):
            yield error(
                "type.members", column.type_position, f"{word} has no members", f"Write {word}('a', 'b')."
            )
        members = type_.values or (_members(column) if word == "set" else ())
        if word == "set" and (joined := next((each for each in members if "," in each), None)) is not None:
            message = f"the member {joined!r} of a SET has a comma"
            yield error("type.members", column.type_position, message, "Name two members.")
        if (twice := repeated(value.rstrip(" ").lower() for value in members)) is not None:
            message = f"{word} has the member {twice!r} twice"
            yield error("type.members", column.type_position, message, "Name it once.")
        if word == "varbinary" and "(" not in column.type_text:
            yield error(
                "type.length_missing", column.type_position, "VARBINARY needs a length", "VARBINARY(n)"
            )
        width = re.fullmatch(r"(\w+)\s*\(\s*(\d+)\s*\).*", column.type_text.lower(), re.DOTALL)
        most = _WIDTHS.get(word, 255 if type_.is_integer else 53 if word == "float" else None)
        if width and most is not None and int(width[2]) > most:
            message = f"{column.type_text} is above {word}({most})"
            yield error("type.length", column.type_position, message, f"Write {most} at most.")
        if width and word in ("double", "real"):
            message, fix = f"{word} takes two parameters or none", f"Write {word}."
            yield error("type.parameter", column.type_position, message, fix)


def _members(column: ColumnDefinition) -> tuple[str, ...]:
    found = re.findall(r"'((?:[^'\\]|\\.|'')*)'", column.type_text)
    return tuple(each.replace("''", "'") for each in found)


def _parameters(column: ColumnDefinition) -> Iterator[Violation]:
    found = re.match(r"(\w+)\s*\((.*?)\)", column.type_text, re.DOTALL)
    word, inside = (found[1].lower(), found[2].strip()) if found else ("", "")
    if found is None:
        return
    if word in _PLAIN:
        message, fix = f"{word} takes no parameter", f"Write {word}."
        yield error("type.parameter", column.type_position, message, fix)
    elif word in ("enum", "set"):
        if inside and inside[0] not in "'\"" and not re.match(r"\w*'", inside):
            yield error(
                "type.members", column.type_position, f"members of {word} are texts", f"{word}('a', 'b')"
            )
    elif not re.fullmatch(r"\d+(\s*,\s*\d+)?", inside):
        message = f"{column.type_text}: a parameter is a whole number"
        yield error("type.parameter", column.type_position, message, f"Write {word}(n) or {word}.")


def _default_form(column: ColumnDefinition) -> Iterator[Violation]:
    """Behind a literal nothing follows: only in brackets is there an expression."""
    given = default_of(column)
    rest = given[2:] if given[:1] and given[0].says("+", "-") else given[1:]
    if rest and rest[0].kind == "symbol" and given[-len(rest) - 1].kind in ("string", "number"):
        message = "an expression as a DEFAULT stands in brackets"
        yield error("default.form", given[0].start + 1, message, "DEFAULT (…)")


def numbers(subject: Subject) -> Iterator[Violation]:
    """One AUTO_INCREMENT column, a number, first of a key, without a default."""
    if subject.contract.name != "mysql":
        return
    serial = [column for column in subject.table.columns if base_name(column) == "serial"]
    increments = [
        column for column in subject.table.columns if column.has("auto_increment") or column in serial
    ]
    keyed = {key.columns[0].name.lower() for key in subject.table.constraints if key.columns}
    engine = subject.table.clause("engine")
    anywhere = engine is not None and any(
        lexeme.says("myisam", "aria", "merge", "bdb") for lexeme in engine.lexemes
    )
    if anywhere:  # counted for each value of the columns before it
        keyed = {name.name.lower() for key in subject.table.constraints for name in key.columns}
    for column in increments:
        own = column.has("primary", "key") or column.has("unique") or column.has("key") or column in serial
        if column.name.lower() not in keyed and not own:
            message = "AUTO_INCREMENT must be the first column of a key"
            yield error("identity.key", column.position, message, f"Add KEY ({column.name}).")
        kind = subject.type_of(column)
        if not (kind.is_integer or kind.kind in ("float32", "float64", "unknown")):
            message = f"AUTO_INCREMENT of type {column.type_text}"
            yield error("identity.type", column.type_position, message, "Use BIGINT.")
        if column.has("default"):
            message = "AUTO_INCREMENT has no DEFAULT"
            yield error("identity.default", column.position, message, "Leave the DEFAULT out.")
    if len(increments) > 1:
        message = "a table has one AUTO_INCREMENT column"
        yield error("identity.second", increments[1].position, message, "Leave the others out.")


def table(subject: Subject) -> Iterator[Violation]:
    """A row holds 65,535 bytes; engines there are; every key holds what the table is partitioned by, and no foreign key
    is there then."""
    if subject.contract.name != "mysql":
        return
    row = sum(_bytes(subject, column) or 12 for column in subject.table.columns)
    if row > _ROW:
        message = f"a row may take {row:,} bytes; the limit is {_ROW:,} (4 for each utf8mb4 character)"
        yield error("row.size", subject.table.path[-1].position, message, "Make the longest VARCHARs TEXT.")
    engine = subject.table.clause("engine")
    name = (
        next((each for each in engine.lexemes if each.kind in ("word", "string", "quoted")), None)
        if engine
        else None
    )
    if engine and name and "mergetree" in name.text.lower():
        message = "MergeTree is ClickHouse's engine"
        yield error("clause.forbidden", engine.position, message, "ENGINE = InnoDB")
    elif engine and name and name.text.lower() not in _ENGINES:
        yield error("engine.unknown", name.start + 1, f"there is no engine {name.text}", "ENGINE = InnoDB")
    clause = subject.table.clause("partition_by")
    for key in subject.table.constraints if clause is not None else ():
        if key.kind == "foreign":
            message = "a partitioned table has no foreign keys"
            yield error("constraint.forbidden", key.position, message, "Leave it out, or do not partition.")
    ranged = clause is not None and bool(clause.lexemes) and clause.lexemes[0].says("range", "list")
    if clause is not None and ranged and not any(each.says("partition") for each in clause.lexemes):
        message, fix = (
            "each partition must be named",
            "(PARTITION p VALUES LESS THAN (…), …) or VALUES IN (…)",
        )
        yield error("partition.form", clause.position, message, fix)
    opening = next((i for i, each in enumerate(clause.lexemes) if each.says("(")), None) if clause else None
    if clause is None or opening is None:
        return
    for used in expression_names(clause.lexemes[opening + 1 : group(clause.lexemes, opening) - 1]):
        for key in subject.table.constraints:
            yield from _outside(used, key.columns if key.kind in ("primary", "unique") else ())
        for column in subject.table.columns:
            own = column.has("primary", "key") or column.has("unique")
            yield from _outside(used, (Reference(column.name, column.position),) if own else ())


def _outside(used: Reference, key: tuple[Reference, ...]) -> Iterator[Violation]:
    if key and used.name.lower() not in (name.name.lower() for name in key):
        message = f'partition column "{used.name}" must be in every key'
        yield error("key.partition", used.position, message, f"PRIMARY KEY ({key[0].name}, {used.name})")


def _bytes(subject: Subject, column: ColumnDefinition, *, key: bool = False) -> int | None:
    """The most bytes a column takes in the row, or in a ``key``; None for those stored apart."""
    if base_name(column) in _UNSIZED:
        return None
    type_ = subject.type_of(column)
    if type_.kind == "text" and type_.length:
        return type_.length * _width(subject, column) + 2 * (not key)
    if type_.kind == "bytes" and type_.length:
        return type_.length + 2 * (not key)
    if type_.kind == "decimal" and type_.precision:
        return type_.precision // 2 + 1
    return fixed_bytes(type_)


def _width(subject: Subject, column: ColumnDefinition) -> int:
    """The most bytes of a character: the column's character set, or the table's."""
    clause = subject.table.clause("charset")
    for text in (
        column.type_text + " " + " ".join(each.text for each in column.attributes),
        clause.spelled if clause else "",
    ):
        found = re.search(r"(?i)\b(?:character\s+set|charset)\s*=?\s*'?(\w+)", text)
        if found or re.search(r"(?i)\bascii\b", text):
            return _CHARSETS.get(found[1].lower() if found else "ascii", 4)
    return 4


RULES: tuple[Rule, ...] = (keys, columns, numbers, table)
