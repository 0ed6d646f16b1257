"""From Postgres' parse tree to ``branching.ddl.model``: statements that change the catalog.

Expressions inside are taken as Postgres text from the tree and go through the same rules as any query.
CREATE TABLE is not here: it stays a tree (``table.py``).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, cast

from sqlglot import exp

from branching.ddl import model as ddl
from branching.ddl.model import Name, SequenceOptions
from branching.errors import BoughError
from proxy.sql import postgres_grammar as grammar
from proxy.sql import table
from proxy.sql.statements import Database, Kind, Payload
from proxy.sql.utility import constant, name_of

Read = tuple[Kind, str, Payload]

_KINDS: dict[str, ddl.ObjectKind] = {
    "OBJECT_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "materialized view",
    "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence",
    "OBJECT_SCHEMA": "schema",
    "OBJECT_FUNCTION": "macro",
    "OBJECT_ROUTINE": "macro",
    "OBJECT_TYPE": "type",
}


def read(node: Any, text: str) -> Read | None:
    """The statement's kind, command tag and value, or None if it does not change the catalog."""
    reader = _READERS.get(grammar.kind_of(node))
    return reader(node) if reader else None


def refuse(what: str, hint: str | None = None) -> BoughError:
    """The refusal of a statement or clause that Bough does not have."""
    return BoughError("0A000", f"{what} is not supported", hint=hint)


def _name(parts: Any) -> Name:
    """A name given as a list of String nodes."""
    if grammar.kind_of(parts) == "ObjectWithArgs":
        parts = parts.objname
    if grammar.kind_of(parts) == "TypeName":
        parts = parts.names
    if not isinstance(parts, tuple):
        return Name(parts.sval)
    texts = [part.sval for part in parts]
    return Name(texts[-1], *reversed(texts[:-1]))


def _cascade(node: Any) -> bool:
    return bool(node.behavior.name == "DROP_CASCADE")


def _expression(node: Any) -> exp.Expr:
    return table.expression(grammar.deparse(node))


def _strings(nodes: Any) -> tuple[str, ...]:
    return tuple(node.sval for node in nodes or ())


def _drop(node: Any) -> Read:
    kind = _KINDS.get(node.removeType.name)
    what = node.removeType.name.removeprefix("OBJECT_")
    if kind is None:
        raise refuse(f"DROP {what}")
    names = tuple(_name(item) for item in node.objects)
    tag = "DROP FUNCTION" if kind == "macro" else f"DROP {kind.upper()}"
    return Kind.DROP, tag, ddl.Drop(kind, names, bool(node.missing_ok), _cascade(node))


def _truncate(node: Any) -> Read:
    names = tuple(name_of(item) for item in node.relations)
    return (
        Kind.TRUNCATE,
        "TRUNCATE TABLE",
        ddl.Truncate(names, restart_identity=bool(node.restart_seqs), cascade=_cascade(node)),
    )


def _view(node: Any) -> Read:
    payload = ddl.CreateView(
        name_of(node.view),
        table.query(grammar.deparse(node.query)),
        _strings(node.aliases),
        or_replace=bool(node.replace),
        temporary=node.view.relpersistence == "t",
    )
    return Kind.CREATE_VIEW, "CREATE VIEW", payload


def _index(node: Any) -> Read:
    if node.whereClause is not None:
        raise refuse("a partial index", "Create the index without WHERE.")
    if node.accessMethod not in (None, "btree", "hash", "art"):
        raise refuse(f"index access method {node.accessMethod}", "Leave USING out.")
    refuse_not_distinct(node)
    columns = tuple(item.name or _expression(item.expr) for item in node.indexParams)
    payload = ddl.CreateIndex(
        node.idxname, name_of(node.relation), columns, bool(node.unique), bool(node.if_not_exists)
    )
    return Kind.CREATE_INDEX, "CREATE INDEX", payload


def sequence_options(options: Any) -> SequenceOptions:
    """What a list of sequence DefElem nodes says."""
    said: dict[str, Any] = {}
    for option in options or ():
        key, arg = option.defname, option.arg
        if key == "as":
            said["type"] = {"int2": "SMALLINT", "int4": "INTEGER", "int8": "BIGINT"}.get(arg.names[-1].sval)
        elif key in ("start", "increment", "cache"):
            said[key] = int(constant(arg))
        elif key in ("minvalue", "maxvalue"):
            field = key.removesuffix("value") + "imum"
            said.update({field: int(constant(arg))} if arg is not None else {f"no_{field}": True})
        elif key == "cycle":
            said["cycle"] = constant(arg) in ("on", "1", "true")
        elif key == "restart":
            said.update(restart=True, restart_with=None if arg is None else int(constant(arg)))
        elif key == "owned_by":
            parts = _strings(arg)
            if parts[-1] == "none" and len(parts) == 1:
                said["owned_by_none"] = True
            else:
                said["owned_by"] = (Name(parts[-2], *reversed(parts[:-2])), parts[-1])
    return SequenceOptions(**said)


def _create_sequence(node: Any) -> Read:
    payload = ddl.CreateSequence(
        name_of(node.sequence),
        sequence_options(node.options),
        if_not_exists=bool(node.if_not_exists),
        temporary=node.sequence.relpersistence == "t",
    )
    return Kind.CREATE_SEQUENCE, "CREATE SEQUENCE", payload


def _alter_sequence(node: Any) -> Read:
    payload = ddl.AlterSequence(name_of(node.sequence), sequence_options(node.options), bool(node.missing_ok))
    return Kind.ALTER_SEQUENCE, "ALTER SEQUENCE", payload


def _create_schema(node: Any) -> Read:
    if node.schemaElts:
        raise refuse("CREATE SCHEMA with objects inside", "Create the objects in statements of their own.")
    name = node.schemaname or (node.authrole.rolename if node.authrole else "")
    return Kind.CREATE_SCHEMA, "CREATE SCHEMA", ddl.CreateSchema(name, bool(node.if_not_exists))


_COMMENT_KINDS = {**_KINDS, "OBJECT_DATABASE": "database"}


def _comment(node: Any) -> Read:
    what = node.objtype.name
    if what in ("OBJECT_COLUMN", "OBJECT_TABCONSTRAINT"):
        parts = _strings(node.object)
        owner = Name(parts[-2], *reversed(parts[:-2]))
        kind: Any = "column" if what == "OBJECT_COLUMN" else "constraint"
        return Kind.COMMENT, "COMMENT", ddl.CommentOn(kind, owner, node.comment, parts[-1])
    if what not in _COMMENT_KINDS or what == "OBJECT_TYPE":
        raise refuse(f"COMMENT ON {what.removeprefix('OBJECT_')}")
    kind = _COMMENT_KINDS[what]
    if kind == "materialized view":
        kind = "view"
    return Kind.COMMENT, "COMMENT", ddl.CommentOn(kind, _name(node.object), node.comment)


_RENAMED: dict[str, Literal["table", "view", "index", "sequence"]] = {
    "OBJECT_TABLE": "table",
    "OBJECT_VIEW": "view",
    "OBJECT_MATVIEW": "view",
    "OBJECT_INDEX": "index",
    "OBJECT_SEQUENCE": "sequence",
}


def _rename(node: Any) -> Read:
    what = node.renameType.name
    missing_ok = bool(node.missing_ok)
    if what == "OBJECT_DATABASE":
        return (
            Kind.ALTER_DATABASE,
            "ALTER DATABASE",
            Database(node.subname, rename_to=node.newname),
        )
    if what == "OBJECT_SCHEMA":
        return Kind.ALTER_SCHEMA, "ALTER SCHEMA", ddl.RenameSchema(node.subname, node.newname)
    action: ddl.Action
    if what == "OBJECT_COLUMN":
        kind = _RENAMED.get(node.relationType.name, "table")
        action = ddl.RenameColumn(node.subname, node.newname)
    elif what == "OBJECT_TABCONSTRAINT":
        kind, action = "table", ddl.RenameConstraint(node.subname, node.newname)
    elif what in _RENAMED:
        kind, action = _RENAMED[what], ddl.RenameTable(node.newname)
    else:
        raise refuse(f"ALTER {what.removeprefix('OBJECT_')} … RENAME")
    return _altered(kind, ddl.AlterTable(name_of(node.relation), (action,), missing_ok, kind))


def _altered(kind: str, payload: ddl.AlterTable) -> Read:
    return Kind.ALTER_TABLE, f"ALTER {kind.upper()}", payload


def _set_schema(node: Any) -> Read:
    kind = _RENAMED.get(node.objectType.name)
    if kind is None:
        raise refuse(f"ALTER {node.objectType.name.removeprefix('OBJECT_')} … SET SCHEMA")
    action = ddl.SetSchema(node.newschema)
    return _altered(kind, ddl.AlterTable(name_of(node.relation), (action,), bool(node.missing_ok), kind))


def _owner(node: Any) -> Read:
    kind = _RENAMED.get(node.objectType.name, "table")
    what = node.objectType.name.removeprefix("OBJECT_")
    if node.relation is None:
        if what == "SCHEMA":
            return Kind.ALTER_SCHEMA, "ALTER SCHEMA", ddl.AlterTable(_name(node.object), ())
        raise refuse(f"ALTER {what} … OWNER TO")
    return _altered(kind, ddl.AlterTable(name_of(node.relation), (), kind=kind))


def _alter_table(node: Any) -> Read:
    kind = _RENAMED.get(node.objtype.name)
    if kind is None:
        raise refuse(f"ALTER {node.objtype.name.removeprefix('OBJECT_')}")
    actions: list[ddl.Action] = []
    for command in node.cmds:
        actions.extend(_actions(command))
    payload = ddl.AlterTable(name_of(node.relation), tuple(actions), bool(node.missing_ok), kind)
    return _altered(kind, payload)


# Changes of things Bough has no use for: accepted, so that dumps and migrations run.
_IGNORED = {
    "AT_ChangeOwner", "AT_SetRelOptions", "AT_ResetRelOptions", "AT_SetStatistics", "AT_SetStorage",
    "AT_SetOptions", "AT_ResetOptions", "AT_ClusterOn", "AT_DropCluster", "AT_SetTableSpace",
    "AT_ReplicaIdentity", "AT_SetLogged", "AT_SetUnLogged", "AT_SetCompression",
}  # fmt: skip


def _actions(command: Any) -> list[ddl.Action]:
    what, name, definition = command.subtype.name, command.name, command.def_
    cascade = _cascade(command)
    missing_ok = bool(command.missing_ok)
    if what in _IGNORED:
        return []
    if what == "AT_AddColumn":
        column, extra = table.added_column(grammar.deparse(definition))
        return [ddl.AddColumn(column, missing_ok), *(ddl.AddConstraint(item) for item in extra)]
    if what == "AT_DropColumn":
        return [ddl.DropColumn(name, missing_ok, cascade)]
    if what == "AT_ColumnDefault":
        return (
            [ddl.DropDefault(name)] if definition is None else [ddl.SetDefault(name, _expression(definition))]
        )
    if what in ("AT_SetNotNull", "AT_DropNotNull"):
        return [ddl.SetNotNull(name) if what == "AT_SetNotNull" else ddl.DropNotNull(name)]
    if what == "AT_AlterColumnType":
        using = _expression(definition.raw_default) if definition.raw_default is not None else None
        type_, declared = table.column_type(grammar.deparse(definition.typeName))
        return [ddl.AlterType(name, type_, declared, using)]
    if what == "AT_AddConstraint":
        return [ddl.AddConstraint(constraint(definition))]
    if what == "AT_DropConstraint":
        return [ddl.DropConstraint(name, missing_ok, cascade)]
    if what == "AT_ValidateConstraint":
        return [ddl.ValidateConstraint(name)]
    if what == "AT_AddIdentity":
        identity = cast("Literal['a', 'd']", definition.generated_when)
        return [ddl.AddIdentity(name, identity, sequence_options(definition.options))]
    if what == "AT_SetIdentity":
        said = [item.arg.ival for item in definition if item.defname == "generated"]
        rest = [item for item in definition if item.defname != "generated"]
        wanted = cast("Literal['a', 'd'] | None", chr(said[0]) if said else None)
        return [ddl.SetIdentity(name, wanted, sequence_options(rest))]
    if what == "AT_DropIdentity":
        return [ddl.DropIdentity(name, missing_ok)]
    raise refuse(f"ALTER TABLE ({what.removeprefix('AT_')})")


_CONSTRAINT_KINDS: dict[str, Literal["p", "u", "c", "f"]] = {
    "CONSTR_PRIMARY": "p",
    "CONSTR_UNIQUE": "u",
    "CONSTR_CHECK": "c",
    "CONSTR_FOREIGN": "f",
}


def constraint(node: Any) -> ddl.ConstraintDefinition:
    """A Constraint node of a table."""
    kind = _CONSTRAINT_KINDS.get(node.contype.name)
    if kind is None or node.indexname:
        raise refuse(f"constraint {node.contype.name.removeprefix('CONSTR_')}")
    refuse_not_distinct(node)
    return ddl.ConstraintDefinition(
        kind,
        node.conname,
        _strings(node.fk_attrs if kind == "f" else node.keys),
        expression=_expression(node.raw_expr) if node.raw_expr is not None else None,
        references=name_of(node.pktable) if node.pktable is not None else None,
        ref_columns=_strings(node.pk_attrs),
        on_delete=_fk_action(node.fk_del_action),
        on_update=_fk_action(node.fk_upd_action),
        not_valid=bool(node.skip_validation),
        deferrable=("d" if node.initdeferred else "i" if node.deferrable else "") if kind == "f" else "",
    )


def refuse_not_distinct(node: Any) -> None:
    """Of a constraint or an index."""
    if node.nulls_not_distinct:
        raise refuse(
            "UNIQUE NULLS NOT DISTINCT", "Declare the columns NOT NULL, or leave NULLS NOT DISTINCT out."
        )


def _fk_action(value: Any) -> Literal["a", "r", "c", "n", "d"]:
    text = value if isinstance(value, str) else chr(value) if isinstance(value, int) and value else "a"
    return cast("Literal['a', 'r', 'c', 'n', 'd']", text if text in "arcnd" else "a")


_READERS: dict[str, Callable[[Any], Read]] = {
    "DropStmt": _drop,
    "TruncateStmt": _truncate,
    "ViewStmt": _view,
    "IndexStmt": _index,
    "CreateSeqStmt": _create_sequence,
    "AlterSeqStmt": _alter_sequence,
    "CreateSchemaStmt": _create_schema,
    "CommentStmt": _comment,
    "RenameStmt": _rename,
    "AlterObjectSchemaStmt": _set_schema,
    "AlterOwnerStmt": _owner,
    "AlterTableStmt": _alter_table,
}
