"""One column's way from source to target, decided before a row moves.

Rules:

1. The request's word comes first: SKIP leaves a column out, CAST fixes its type, AS TEXT makes it text, ALLOW
   LOSSY lets values change. Without a word nothing may be lost.
2. A mapping that is ``lossy`` without a condition to check, or ``unsupported``, is refused at once; one with
   conditions is refused only if the profile finds a value that breaks them.
3. What a column is read as (``read``) is what Arrow carries; what it is written as (``target``) is the
   canonical form of the target's own column, so that the writer compares like with like.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from migration.connectors.base import ReadColumn
from migration.dialects import DialectContract, contract
from migration.dialects.base import Loss
from migration.dialects.charsets import holds_all
from migration.dialects.quoting import quote_name
from migration.dialects.type_map import Mapping, map_canonical, map_type, same_type
from migration.dialects.type_names import parse_type
from migration.errors import MigrationError
from migration.model import ColumnSpec, TableSpec
from migration.transfer import source_terms
from migration.transfer_model import TransferOptions
from migration.types import CanonicalType, byte_string, text
from migration.values.condition_words import in_words
from migration.values.conditions import is_implied, source_guards, spared
from migration.values.fitting import beyond, fit
from migration.values.profile import Finding, Profile, Question
from migration.values.transform import ColumnForm

_UNTYPED = ("mysql", "clickhouse")  # their casts to JSON, or to uuid, are to a text


@dataclass(frozen=True, slots=True)
class ColumnPlan:
    """A column with its decision. ``expression`` is SQL of the source, None to read the column as it is."""

    name: str
    declared: str
    read: CanonicalType
    expression: str | None
    mapping: Mapping
    target: CanonicalType
    nullable: bool = True
    allowed: bool = False
    required: bool = False  # by a target that exists
    unfit: bool = False  # no condition on the values could make this type hold them
    broken: tuple[Finding, ...] = ()

    @property
    def read_column(self) -> ReadColumn:
        """What the reader is asked for."""
        return ReadColumn(self.name, self.read, self.expression, self.allowed and _has_misfits(self.broken))

    @property
    def form(self) -> ColumnForm:
        """What the transform does."""
        lossy = tuple(finding.guard for finding in self.broken) if self.allowed else ()
        return ColumnForm(self.name, self.read, self.target, self.mapping.cast, lossy)

    @property
    def detail(self) -> str:
        """``BIGINT -> numeric(20,0) (widening: no unsigned integers)``."""
        reason = f": {self.mapping.reason}" if self.mapping.reason else ""
        read = f" read as {self.expression}" if self.expression else ""
        lossy = "; loss allowed" if self.allowed and self.broken else ""
        return f"{self.declared}{read} -> {self.mapping.target_type} ({self.mapping.loss}{reason}{lossy})"


def decide(
    columns: Sequence[ColumnSpec],
    options: TransferOptions,
    source_dialect: str,
    target_dialect: str,
    existing: TableSpec | None,
    version: str | None,
    *,
    lengths: bool = False,
    charset: str | None = None,
) -> tuple[ColumnPlan, ...]:
    """All columns of the source, decided; HV004 for what no profile could save. ``lengths``: the target keeps those of
    texts, whatever its dialect says. ``charset`` is that of all its texts."""
    _known(columns, options)
    if existing is not None:
        _not_computed([column.name for column in columns if column.name not in options.skip], existing)
    plans = []
    for column in columns:
        if column.name in options.skip:
            continue
        plan = _one(column, options, source_dialect, target_dialect, existing, version)
        if charset is not None and plan.mapping.loss != "unsupported":
            guards = (*plan.mapping.guards, f"charset:{charset}")
            plan = replace(plan, mapping=replace(plan.mapping, guards=guards))
        plans.append(_with_length(plan) if lengths and existing is None else plan)
    if not plans:
        raise MigrationError("42601", "no column is left to transfer", hint="SKIP fewer columns.")
    refused = [plan for plan in plans if _hopeless(plan)]
    if refused:
        raise _refusal([(plan, ()) for plan in refused])
    return tuple(plans)


def _with_length(plan: ColumnPlan) -> ColumnPlan:
    read, mapping = plan.read, plan.mapping
    if read.kind != "text" or read.length is None or read.unit != "chars" or plan.target != text():
        return plan
    loss: Loss = "widening" if read.fixed else "exact"
    reason = mapping.reason if read.fixed else ""
    mapping = replace(mapping, target_type=f"{mapping.target_type}({read.length})", loss=loss, reason=reason)
    return replace(plan, mapping=mapping, target=text(read.length))


def _known(columns: Sequence[ColumnSpec], options: TransferOptions) -> None:
    names = {column.name for column in columns}
    if len(names) < len(columns):
        raise MigrationError("42701", "the source has two columns of one name", hint="Name them with AS.")
    for name in (*options.casts, *options.skip, *options.as_text, *options.allow_lossy):
        if name not in names:
            raise MigrationError(
                "42703",
                f'the source has no column "{name}"',
                detail=f"Its columns are {', '.join(sorted(names))}.",
                column=name,
            )


def _not_computed(moved: Sequence[str], existing: TableSpec) -> None:
    found = [column.name for column in existing.columns if column.computed and column.name in moved]
    if found:
        names = ", ".join(f'"{name}"' for name in found)
        listed = ", ".join(name if name.isidentifier() else f'"{name}"' for name in found)
        raise MigrationError(
            "428C9",
            f'column "{found[0]}" of the target is GENERATED ALWAYS: it takes no values',
            detail=f'"{existing.name}" computes {names} of its other columns, which may give other values.',
            hint=f"SKIP ({listed}) lets the target compute: WITH (skip '{listed}').",
            column=found[0],
        )


def _one(
    column: ColumnSpec,
    options: TransferOptions,
    source_dialect: str,
    target_dialect: str,
    existing: TableSpec | None,
    version: str | None,
) -> ColumnPlan:
    read, expression, wanted = column.type, None, None
    quoted = quote_name(column.name, contract(source_dialect))
    declared = column.declared or str(column.type)
    if column.name in options.casts:
        wanted = options.casts[column.name]
        read = parse_type(wanted, target_dialect)
        expression = source_terms.cast(quoted, column.type, read, contract(source_dialect))
    elif column.name in options.as_text:
        if contract(source_dialect).family == "postgres-like":
            read, expression = text(), f"CAST({quoted} AS text)"
        elif _is_sqlite(source_dialect):
            read, expression = text(), source_terms.sqlite_text(quoted)
        elif source_guards(read, source_dialect):
            read, expression = text(), source_terms.mysql_text(quoted, read)
        wanted = map_canonical(text(), contract(target_dialect), version).target_type
    there = None
    if existing is not None:
        there = existing.column(column.name)
        if there is None:
            raise MigrationError(
                "42703",
                f'the target "{existing.name}" has no column "{column.name}"',
                detail=f"Its columns are {', '.join(item.name for item in existing.columns)}.",
                hint=f'SKIP ("{column.name}"), name it otherwise in a query, or WITH (recreate true).',
                column=column.name,
            )
    if there is not None:
        same = contract(source_dialect).name == contract(target_dialect).name
        same = same and not (target_dialect == "clickhouse" and there.type.kind == "json")
        if same and column.declared and column.declared == there.declared and wanted is None:
            mapping = same_type(read, there.declared or "", contract(target_dialect), "the same type")
        else:
            mapping = fit(read, there.type, there.declared or str(there.type), target_dialect)
            strange = [leaf for leaf in there.type.leaves() if leaf.kind == "unknown" and there.declared]
            if strange and contract(source_dialect).spellings is not contract(target_dialect).spellings:
                # Of one name, such as the point of PostgreSQL and of MySQL, but not of one meaning.
                reason = f"{read} does not fit {there.declared}"
                mapping = Mapping(read, there.declared or "", "lossy", reason)
        target = there.type
    else:
        if wanted is not None:
            asked = text() if column.name in options.as_text else None
            kept = map_canonical(asked, contract(target_dialect), version).guards if asked else ()
            if read.kind != "text":  # the text of any other value holds no NUL character
                kept = tuple(guard for guard in kept if guard != "no_nul")
            mapping = Mapping(read, wanted, "exact" if expression else "widening", "as asked", "text", kept)
            if expression and column.name not in options.as_text:
                mapping = replace(mapping, cast="")
        elif column.declared and parse_type(column.declared, source_dialect) == column.type:
            mapping = map_type(source_dialect, column.declared, target_dialect, version)
        else:
            mapping = map_canonical(read, contract(target_dialect), version)
        target = parse_type(mapping.target_type, target_dialect)
    if mapping.cast != "text":
        target = _as_bytes(read, target)
    unfit = mapping.loss == "lossy" and not mapping.guards  # as to the type: what follows is about values
    guards = list(mapping.guards)
    if column.name in options.casts and read.kind == "text":
        guards += _kept_by_a_text(read, contract(target_dialect), version)
    if column.name in options.casts and there is None and not read.is_nested:
        guards += fit(read, target, wanted or "", target_dialect).guards
    if unfit and column.name in options.allow_lossy:
        guards += beyond(target, target_dialect)
    if expression is None or _is_sqlite(source_dialect):
        guards += source_guards(read, source_dialect)
    unseen = _is_sqlite(source_dialect) or (
        expression is not None and contract(source_dialect).name in _UNTYPED
    )
    if read.kind == target.kind == "json" and unseen and not _is_sqlite(target_dialect):
        guards.append("well_formed")  # SQLite takes any text in such a column
    if read.kind == target.kind == "uuid" and unseen and not _is_sqlite(target_dialect):
        guards.append("uuid")  # SQLite takes any text in such a column
        mapping = replace(mapping, cast="uuid_text")
    if contract(target_dialect).name == "duckdb" and _holds_json(read):
        guards += ["json_double", "no_json_null"]  # DuckDB reads all of it: numbers as doubles, null as NULL
    if (
        there is not None
        and there.charset
        and there.charset != column.charset
        and not holds_all(there.charset)
    ):
        guards.append(f"charset:{there.charset}")
    if there is not None and not there.nullable and column.nullable:
        guards.append("no_null")
    mapping = replace(mapping, guards=tuple(dict.fromkeys(guards)))
    return ColumnPlan(
        column.name,
        declared,
        read,
        expression,
        mapping,
        target,
        column.nullable,
        column.name in options.allow_lossy,
        there is not None and not there.nullable,
        unfit,
    )


def _kept_by_a_text(type_: CanonicalType, target: DialectContract, version: str | None) -> tuple[str, ...]:
    """What must hold for a text that is cast to be stored as that type: a cast does not cut it."""
    guards = [guard for guard in map_canonical(text(), target, version).guards if guard == "no_nul"]
    if type_.length is not None:
        guards.append(f"{'octets' if type_.unit == 'bytes' else 'chars'}:{type_.length}")
    return tuple(guards)


def _as_bytes(read: CanonicalType, target: CanonicalType) -> CanonicalType:
    """``target`` with bytes in place of texts where ``read`` has bytes: there are engines whose strings are bytes."""
    if read.kind == "bytes" and target.kind == "text":
        return byte_string()
    if read.kind == target.kind == "list" and read.element and target.element:
        return replace(target, element=_as_bytes(read.element, target.element))
    return target


def _holds_json(type_: CanonicalType) -> bool:
    inner = type_.innermost
    return inner.is_nested and any(leaf.kind == "json" for leaf in inner.leaves())


def _is_sqlite(dialect: str) -> bool:
    return contract(dialect).name == "sqlite"


def _has_misfits(broken: Sequence[Finding]) -> bool:
    """Whether there are values that cannot be read as the column's type (``Reader.misfits``)."""
    return any(finding.guard == "utf8" or finding.guard.startswith("held:") for finding in broken)


def _hopeless(plan: ColumnPlan) -> bool:
    return plan.mapping.loss == "unsupported" or (plan.unfit and not plan.allowed)


def questions(plans: Sequence[ColumnPlan], source_dialect: str) -> list[Question]:
    """What the profile must answer for these columns, or for what is read in their place."""
    found = []
    for plan in plans:
        found += [Question(plan.name, plan.read, guard, plan.expression) for guard in plan.mapping.guards]
    return [q for q in found if not is_implied(q.guard, q.type, source_dialect)]


def judged(plans: Sequence[ColumnPlan], profile: Profile, source_dialect: str) -> tuple[ColumnPlan, ...]:
    """The plans with the profile's findings; HV004 if a value would be lost that nobody gave up."""
    result = [replace(plan, broken=profile.broken(plan.name)) for plan in plans]
    refused = [(plan, plan.broken) for plan in result if plan.broken and not _may_break(plan)]
    refused = refused or [(plan, plan.broken) for plan in result if plan.required and _loses_to_null(plan)]
    if refused:
        raise _refusal(refused)
    return tuple(_spared(plan, source_dialect) for plan in result)


def _loses_to_null(plan: ColumnPlan) -> bool:
    """Whether values that do not fit become NULL; those too long or too fine are cut."""
    words = {finding.guard.partition(":")[0] for finding in plan.broken}
    cut = {"fraction", "chars", "octets"} | ({"no_nul"} if plan.read.kind == "text" else set())
    return plan.allowed and bool(words - cut)


def _spared(plan: ColumnPlan, source_dialect: str) -> ColumnPlan:
    """A column whose values cannot all be read leaves those behind at the source, and may be NULL then."""
    if _loses_to_null(plan):
        plan = replace(plan, nullable=True)
    guards = source_guards(plan.read, source_dialect)
    if plan.expression is not None or not any(finding.guard in guards for finding in plan.broken):
        return plan
    quoted = quote_name(plan.name, contract(source_dialect))
    expression = spared(plan.read, quoted, source_dialect)
    return plan if expression == quoted else replace(plan, expression=expression)


def _may_break(plan: ColumnPlan) -> bool:
    return plan.allowed and not _whole_or_nothing(plan, plan.broken)


def _whole_or_nothing(plan: ColumnPlan, findings: Sequence[Finding]) -> bool:
    """Whether nothing could be cut to fit: no form of Arrow's holds these, or no NULL could stand for them."""
    guards = {finding.guard for finding in findings}
    never_null = "no_null" in plan.mapping.guards and not plan.required
    return "dimensions:1" in guards or (plan.read.is_nested and ("utf8" in guards or never_null))


def _refusal(refused: Sequence[tuple[ColumnPlan, tuple[Finding, ...]]]) -> MigrationError:
    plan, findings = refused[0]
    facts = []
    for other, broken in refused:
        if not broken:
            facts.append(f'"{other.name}": {other.detail}')
        for finding in broken:
            samples = f", such as {', '.join(finding.samples)}" if finding.samples else ""
            facts.append(
                f'"{other.name}": {finding.count} value{"s" if finding.count != 1 else ""} '
                f"{in_words(finding.guard)}{samples}"
            )
    if findings:
        what = (
            f"{in_words(findings[0].guard)} in {findings[0].count} row{'s' if findings[0].count != 1 else ''}"
        )
        message = (
            f'column "{plan.name}" cannot be moved to {plan.mapping.target_type} without loss: values {what}'
        )
    else:
        message = f'column "{plan.name}" cannot be moved without loss: {plan.mapping.reason or plan.detail}'
    if plan.required and _loses_to_null(plan):
        message = f'column "{plan.name}" of the target is NOT NULL: values {what} would become NULL'
    name = plan.name if plan.name.isidentifier() else '"' + plan.name.replace('"', '""') + '"'
    if plan.required and _loses_to_null(plan):
        hint = f"SKIP ({name}), CAST ({name} AS type), or let the target's column be NULL first."
    else:
        hint = None
    return MigrationError(
        "HV004",
        message,
        detail="; ".join(facts) + ".",
        hint=hint or _ways_out(plan, findings, name),
        column=plan.name,
    )


def _ways_out(plan: ColumnPlan, findings: Sequence[Finding], name: str) -> str:
    """The options that help, and each as it is written."""
    quoted = name.replace("'", "''")
    ways = [
        (f"CAST ({name} AS type)", f"WITH (cast '{quoted} AS type')"),
        (f"SKIP ({name})", f"WITH (skip '{quoted}')"),
    ]
    words = {finding.guard.partition(":")[0] for finding in findings}
    stays = words and words <= {"no_nul", "charset"} and plan.read.kind == "text"  # a text stays what it is
    if not stays and "utf8" not in words:
        ways.append((f"AS TEXT ({name})", f"WITH (as_text '{quoted}')"))
    if plan.mapping.loss != "unsupported" and not _whole_or_nothing(plan, findings):
        ways.append((f"ALLOW LOSSY ({name})", f"WITH (allow_lossy '{quoted}')"))
    short = [way for way, _ in ways]
    moved = "As bytes it moves. " if "utf8" in words and not plan.read.is_nested else ""
    return f"{moved}{', '.join(short[:-1])} or {short[-1]}: {', '.join(written for _, written in ways)}."
