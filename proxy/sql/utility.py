"""From Postgres' parse tree to the values of ``statements``: one small reader per node class.

``read(node, text, offset)`` gives (kind, tag, payload), or None where the node is a query or a statement
that ``ddl`` reads. A reader never looks at the text except to cut out an inner statement.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from branching.ddl.model import Name
from branching.errors import BoughError
from proxy.sql import postgres_grammar as grammar
from proxy.sql import statements as st
from proxy.sql.split import Source
from proxy.sql.statements import Kind

Read = tuple[Kind, str, st.Payload]
_HOLD, _SCROLL, _NO_SCROLL, _BINARY, _INSENSITIVE = 0x0020, 0x0002, 0x0004, 0x0001, 0x0008
_ALL = 9223372036854775807


def read(node: Any, text: str, offset: int) -> Read | None:
    """The statement's kind, command tag and payload, or None if it is no utility statement."""
    reader = _READERS.get(grammar.kind_of(node))
    return reader(node, text, offset) if reader else None


def name_of(relation: Any) -> Name:
    """The name in a RangeVar node."""
    return Name(relation.relname, relation.schemaname, relation.catalogname)


def constant(node: Any) -> str:
    """The text of a constant, a name or a list element."""
    if node is None:
        return ""
    kind = grammar.kind_of(node)
    if kind in ("String", "Float", "BitString"):
        return str(node.sval if kind == "String" else node.fval if kind == "Float" else node.bsval)
    if kind == "Integer":
        return str(node.ival)
    if kind == "Boolean":
        return "on" if node.boolval else "off"
    if kind == "A_Const":
        return "" if node.isnull else constant(node.val)
    if kind == "TypeName":
        return ".".join(part.sval for part in node.names)
    if kind == "TypeCast":
        return constant(node.arg)
    return grammar.deparse(node)


def _plain(kind: Kind, payload: st.Payload) -> Read:
    return kind, kind.value, payload


def _set(node: Any, text: str, offset: int) -> Read:
    how = node.kind.name
    if how == "VAR_RESET":
        return _plain(Kind.RESET, st.ResetVariable(node.name))
    if how == "VAR_RESET_ALL":
        return _plain(Kind.RESET, st.ResetVariable(None))
    if how == "VAR_SET_MULTI":
        if node.name == "TRANSACTION SNAPSHOT":
            raise BoughError("0A000", "SET TRANSACTION SNAPSHOT is not supported")
        session = node.name == "SESSION CHARACTERISTICS"
        return (
            Kind.SET_TRANSACTION,
            "SET",
            _characteristics(node.args[0] if node.args else None, node, session),
        )
    if how == "VAR_SET_CURRENT":
        raise BoughError("0A000", "SET … FROM CURRENT is not supported")
    values = None if how == "VAR_SET_DEFAULT" else tuple(constant(arg) for arg in node.args or ())
    return _plain(Kind.SET, st.SetVariable(node.name, values, bool(node.is_local)))


def _characteristics(first: Any, node: Any, session: bool = False) -> st.Transaction:
    options = node.args if grammar.kind_of(node) == "VariableSetStmt" else node.options
    del first
    isolation: Any = None
    read_only: bool | None = None
    deferrable: bool | None = None
    for option in options or ():
        value = constant(option.arg)
        if option.defname == "transaction_isolation":
            isolation = value
        elif option.defname == "transaction_read_only":
            read_only = value in ("1", "on")
        elif option.defname == "transaction_deferrable":
            deferrable = value in ("1", "on")
    chain = bool(getattr(node, "chain", False))
    return st.Transaction(isolation, read_only, deferrable, chain, session)


_TRANSACTION = {
    "TRANS_STMT_BEGIN": (Kind.BEGIN, "BEGIN"),
    "TRANS_STMT_START": (Kind.BEGIN, "START TRANSACTION"),
    "TRANS_STMT_COMMIT": (Kind.COMMIT, "COMMIT"),
    "TRANS_STMT_ROLLBACK": (Kind.ROLLBACK, "ROLLBACK"),
}
_SAVEPOINT = {
    "TRANS_STMT_SAVEPOINT": (Kind.SAVEPOINT, "SAVEPOINT"),
    "TRANS_STMT_RELEASE": (Kind.RELEASE, "RELEASE"),
    "TRANS_STMT_ROLLBACK_TO": (Kind.ROLLBACK_TO, "ROLLBACK"),
}


def _transaction(node: Any, text: str, offset: int) -> Read:
    what = node.kind.name
    if what in _TRANSACTION:
        kind, tag = _TRANSACTION[what]
        return kind, tag, _characteristics(None, node)
    if what in _SAVEPOINT:
        kind, tag = _SAVEPOINT[what]
        return kind, tag, st.Savepoint(node.savepoint_name)
    raise BoughError("0A000", "two-phase commit is not supported", hint="Use COMMIT or ROLLBACK.")


def _prepare(node: Any, text: str, offset: int) -> Read:
    types = tuple(grammar.deparse(name) for name in node.argtypes or ())
    return _plain(Kind.PREPARE, st.Prepare(node.name, types, _after(text, offset, "AS")))


def _execute(node: Any, text: str, offset: int) -> Read:
    arguments = tuple(grammar.deparse(argument) for argument in node.params or ())
    return _plain(Kind.EXECUTE, st.Execute(node.name, arguments))


def _declare(node: Any, text: str, offset: int) -> Read:
    bits = node.options
    payload = st.Declare(
        node.portalname,
        _after(text, offset, "FOR"),
        scroll=True if bits & _SCROLL else False if bits & _NO_SCROLL else None,
        hold=bool(bits & _HOLD),
        binary=bool(bits & _BINARY),
        insensitive=bool(bits & _INSENSITIVE),
    )
    return _plain(Kind.DECLARE, payload)


def _fetch(node: Any, text: str, offset: int) -> Read:
    direction: Any = node.direction.name.removeprefix("FETCH_").lower()
    count = None if node.howMany == _ALL else node.howMany
    return _plain(Kind.MOVE if node.ismove else Kind.FETCH, st.Fetch(node.portalname, direction, count))


def _deallocate(node: Any, text: str, offset: int) -> Read:
    tag = "DEALLOCATE" if node.name else "DEALLOCATE ALL"
    return Kind.DEALLOCATE, tag, st.Deallocate(node.name)


def _close(node: Any, text: str, offset: int) -> Read:
    tag = "CLOSE CURSOR" if node.portalname else "CLOSE CURSOR ALL"
    return Kind.CLOSE, tag, st.Close(node.portalname)


def _discard(node: Any, text: str, offset: int) -> Read:
    what: Any = node.target.name.removeprefix("DISCARD_").lower()
    return Kind.DISCARD, f"DISCARD {what.upper()}", st.Discard(what)


def _notify(node: Any, text: str, offset: int) -> Read:
    return _plain(Kind.NOTIFY, st.Channel(node.conditionname, node.payload or ""))


def _option(option: Any) -> str | bool | tuple[str, ...]:
    if option.arg is None:
        return True
    if isinstance(option.arg, tuple):
        return tuple(constant(item) for item in option.arg)
    if grammar.kind_of(option.arg) == "A_Star":
        return ("*",)
    return constant(option.arg)


def _copy(node: Any, text: str, offset: int) -> Read:
    payload = st.Copy(
        target=name_of(node.relation) if node.relation else None,
        query=_parenthesised(text, offset) if node.query else None,
        columns=tuple(item.sval for item in node.attlist or ()),
        from_client=bool(node.is_from),
        filename=node.filename,
        program=bool(node.is_program),
        options=tuple((option.defname.lower(), _option(option)) for option in node.options or ()),
        where=grammar.deparse(node.whereClause) if node.whereClause else None,
    )
    return _plain(Kind.COPY, payload)


def _explain(node: Any, text: str, offset: int) -> Read:
    options = tuple(
        (option.defname.lower(), True if option.arg is None else constant(option.arg))
        for option in node.options or ()
    )
    return _plain(Kind.EXPLAIN, st.Explain(_explained(text, offset), options))


def _vacuum(node: Any, text: str, offset: int) -> Read:
    tables = tuple(name_of(item.relation) for item in node.rels or ())
    columns = tuple(
        (name, column.sval)
        for name, item in zip(tables, node.rels or (), strict=True)
        for column in item.va_cols or ()
    )
    return _plain(Kind.VACUUM if node.is_vacuumcmd else Kind.ANALYZE, st.Maintenance(tables, columns))


def _reindex(node: Any, text: str, offset: int) -> Read:
    tables = (name_of(node.relation),) if node.relation is not None else ()
    return _plain(Kind.REINDEX, st.Maintenance(tables))


def _lock(node: Any, text: str, offset: int) -> Read:
    return _plain(Kind.LOCK, st.Maintenance(tuple(name_of(item) for item in node.relations)))


def _create_database(node: Any, text: str, offset: int) -> Read:
    options = tuple((option.defname, constant(option.arg)) for option in node.options or ())
    template = dict(options).get("template") or None
    return _plain(Kind.CREATE_DATABASE, st.Database(node.dbname, template, options=options))


def _drop_database(node: Any, text: str, offset: int) -> Read:
    force = any(option.defname == "force" for option in node.options or ())
    return _plain(Kind.DROP_DATABASE, st.Database(node.dbname, if_exists=bool(node.missing_ok), force=force))


def _alter_database(node: Any, text: str, offset: int) -> Read:
    options = tuple((option.defname, constant(option.arg)) for option in getattr(node, "options", None) or ())
    return _plain(Kind.ALTER_DATABASE, st.Database(node.dbname, options=options))


def _grant(node: Any, text: str, offset: int) -> Read:
    payload = st.Grant(
        privileges=tuple(privilege.priv_name or "" for privilege in node.privileges or ()),
        object_kind=node.objtype.name.removeprefix("OBJECT_").lower(),
        objects=tuple(grammar.deparse(item) for item in node.objects or () if grammar.is_node(item)),
        roles=tuple(role.rolename or "public" for role in node.grantees or ()),
    )
    return _plain(Kind.GRANT if node.is_grant else Kind.REVOKE, payload)


def _grant_role(node: Any, text: str, offset: int) -> Read:
    granted = tuple(role.priv_name for role in node.granted_roles)
    roles = tuple(role.rolename or "public" for role in node.grantee_roles)
    tag = "GRANT ROLE" if node.is_grant else "REVOKE ROLE"
    return Kind.GRANT if node.is_grant else Kind.REVOKE, tag, st.Grant(granted, "role", (), roles)


def _role(node: Any, text: str, offset: int) -> Read:
    create = grammar.kind_of(node) == "CreateRoleStmt"
    name = node.role if create else node.role.rolename
    options = tuple(
        (option.defname, True if option.arg is None else constant(option.arg))
        for option in node.options or ()
        if not isinstance(option.arg, tuple)
    )
    return _plain(Kind.CREATE_ROLE if create else Kind.ALTER_ROLE, st.Role((name,), options))


def _drop_role(node: Any, text: str, offset: int) -> Read:
    names = tuple(role.rolename for role in node.roles)
    return _plain(Kind.DROP_ROLE, st.Role(names, if_exists=bool(node.missing_ok)))


def _extension(node: Any, text: str, offset: int) -> Read:
    return _plain(Kind.CREATE_EXTENSION, st.Extension(node.extname, bool(node.if_not_exists)))


def _set_constraints(node: Any, _text: str, _offset: int) -> Read:
    names = None if node.constraints is None else tuple(name_of(item) for item in node.constraints)
    return _plain(Kind.SET_CONSTRAINTS, st.SetConstraints(names, bool(node.deferred)))


def _only(kind: Kind) -> Callable[[Any, str, int], Read]:
    return lambda node, text, offset: _plain(kind, st.Empty())


# -- inner statements ---------------------------------------------------------------------------------------


def _after(text: str, offset: int, word: str) -> Source:
    """What follows the first ``word`` outside parentheses."""
    depth = 0
    for token in grammar.tokens(text):
        depth += (token.name == "ASCII_40") - (token.name == "ASCII_41")
        if depth == 0 and token.name == word:
            return _rest(text, offset, token.stop)
    raise BoughError("42601", f"no {word} in the statement")


def _parenthesised(text: str, offset: int) -> Source:
    """The inside of the first parentheses."""
    depth, start = 0, 0
    for token in grammar.tokens(text):
        if token.name == "ASCII_40":
            depth += 1
            start = start or token.stop
        elif token.name == "ASCII_41":
            depth -= 1
            if depth == 0:
                return _rest(text[: token.start], offset, start)
    raise BoughError("42601", "unbalanced parentheses")


def _explained(text: str, offset: int) -> Source:
    """What follows EXPLAIN and its options."""
    found = grammar.tokens(text)
    at = 1
    if found[at].name == "ASCII_40" and found[at + 1].name not in ("SELECT", "WITH", "ASCII_40", "VALUES"):
        while found[at].name != "ASCII_41":
            at += 1
        at += 1
    while text[found[at].start : found[at].stop].lower() in ("analyze", "analyse", "verbose"):
        at += 1
    return _rest(text, offset, found[at].start)


def _rest(text: str, offset: int, start: int) -> Source:
    while start < len(text) and text[start].isspace():
        start += 1
    return Source(text[start:].rstrip(), offset + start)


_READERS: dict[str, Callable[[Any, str, int], Read]] = {
    "VariableSetStmt": _set,
    "VariableShowStmt": lambda node, text, offset: _plain(Kind.SHOW, st.ShowVariable(node.name)),
    "TransactionStmt": _transaction,
    "PrepareStmt": _prepare,
    "ExecuteStmt": _execute,
    "DeallocateStmt": _deallocate,
    "DeclareCursorStmt": _declare,
    "FetchStmt": _fetch,
    "ClosePortalStmt": _close,
    "DiscardStmt": _discard,
    "ListenStmt": lambda node, text, offset: _plain(Kind.LISTEN, st.Channel(node.conditionname)),
    "UnlistenStmt": lambda node, text, offset: _plain(Kind.UNLISTEN, st.Channel(node.conditionname)),
    "NotifyStmt": _notify,
    "CopyStmt": _copy,
    "ExplainStmt": _explain,
    "VacuumStmt": _vacuum,
    "CheckPointStmt": lambda node, text, offset: _plain(Kind.CHECKPOINT, st.Maintenance()),
    "ReindexStmt": _reindex,
    "LockStmt": _lock,
    "CreatedbStmt": _create_database,
    "DropdbStmt": _drop_database,
    "AlterDatabaseStmt": _alter_database,
    "AlterDatabaseSetStmt": _alter_database,
    "AlterSystemStmt": _only(Kind.ALTER_SYSTEM),
    "ConstraintsSetStmt": _set_constraints,
    "CallStmt": _only(Kind.CALL),
    "DoStmt": _only(Kind.DO),
    "GrantStmt": _grant,
    "GrantRoleStmt": _grant_role,
    "CreateRoleStmt": _role,
    "AlterRoleStmt": _role,
    "DropRoleStmt": _drop_role,
    "CreateExtensionStmt": _extension,
}
