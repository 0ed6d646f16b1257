"""Renders commands back to text, so that parsing can be checked against every value of a dataclass."""

from __future__ import annotations

from proxy.commands import UNSET, Moment, TableName
from proxy.commands import branch as b
from proxy.units import format_duration


def name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def string(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def table(item: TableName) -> str:
    return ".".join(name(part) for part in (item.schema, item.name) if part is not None)


def moment(item: Moment | None) -> str:
    if item is None:
        return ""
    if item.version is not None:
        return f" AS OF VERSION {item.version}"
    return f" AS OF TIMESTAMP {string(item.timestamp or '')}"


def options(**values: object) -> str:
    parts = []
    for key, value in values.items():
        if value is UNSET:
            continue
        shown = (
            {None: "NONE", True: "true", False: "false"}.get(value)
            if not isinstance(value, int | float) or isinstance(value, bool)
            else repr(value)
        )
        parts.append(f"{key} {shown if shown is not None else string(str(value))}")
    return f"({', '.join(parts)})" if parts else ""


def ttl_text(value: object) -> object:
    return value if value is None or value is UNSET else format_duration(value)  # type: ignore[arg-type]


def text(command: object) -> str:
    match command:
        case b.CreateDatabase():
            return f"CREATE DATABASE {name(command.name)}" + (
                f" TEMPLATE {name(command.source)}" if command.source else ""
            )
        case b.CreateBranch():
            exists = "IF NOT EXISTS " if command.if_not_exists else ""
            source = f" FROM {name(command.source)}{moment(command.as_of)}" if command.source else ""
            comment = UNSET if command.comment is None else command.comment
            listed = options(ttl=ttl_text(command.ttl), protected=command.protected, comment=comment)
            return f"BRANCH CREATE {exists}{name(command.name)}{source} WITH {listed}"
        case b.DiffBranch():
            words = ["BRANCH DIFF"]
            if command.branch:
                words.append(name(command.branch) + moment(command.as_of))
            if command.against:
                words.append(f"AGAINST {name(command.against)}{moment(command.against_as_of)}")
            if command.table:
                words.append(f"TABLE {table(command.table)}")
            limit = UNSET if command.limit is None else command.limit
            words.append(
                "WITH "
                + options(format=command.format, limit=limit, offset=command.offset, direct=command.direct)
            )
            return " ".join(words)
        case b.MergeBranch():
            words = ["BRANCH MERGE", name(command.branch)]
            if command.target:
                words.append(f"INTO {name(command.target)}")
            if command.tables:
                words.append(f"TABLES ({', '.join(map(table, command.tables))})")
            words.append(f"STRATEGY {command.strategy}")
            words += [f"ON CONFLICT {table(item)} USING {chosen}" for item, chosen in command.per_table]
            if command.token is not None:
                words.append(f"IF TOKEN {string(command.token)}")
            return " ".join(words) + f" WITH {options(discard=command.discard)}"
        case b.ExplainMerge():
            return "EXPLAIN " + text(command.merge)
        case b.AlterBranch():
            listed = options(ttl=ttl_text(command.ttl), protected=command.protected, comment=command.comment)
            return f"BRANCH ALTER {name(command.branch)} SET {listed}"
        case b.ResolveConflicts():
            words = ["BRANCH RESOLVE", name(command.branch)]
            if command.table:
                words.append(f"TABLE {table(command.table)}")
            if command.conflict is not None:
                words.append(f"CONFLICT {command.conflict}")
            return " ".join(words) + f" USING {command.resolution}"
        case b.ShadowQuery():
            listed = options(
                **{"return": command.returning},
                tolerance=command.tolerance,
                ordered=command.ordered,
                runs=command.runs,
            )
            branches = ", ".join(map(name, command.branches))
            return f"SHADOW QUERY ON {branches} AS {command.query} WITH {listed}"
    raise AssertionError(f"no rendering for {command!r}")
