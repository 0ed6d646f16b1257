"""The grammar of the branch commands, in the order of docs/commands.md.

Each function reads one command from behind its first words. ``BRANCH`` is a word of ours alone, so everything
behind it is either one of these or a syntax error.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from branching.errors import BoughError

from . import branch as commands
from .model import Command, Moment, TableName
from .names import RESOLUTIONS, check_choice, check_strategy
from .options import Converter, boolean, choice, count, optional_text, read_options, runs, tolerance, ttl
from .reader import Reader
from .tokens import Token

DIFF_FORMATS = ("summary", "rows", "schema", "sql")
SHADOW_RETURNS = ("summary", "rows", "diff", "plan")
CREATE_OPTIONS: Mapping[str, Converter] = {"ttl": ttl, "protected": boolean, "comment": optional_text}
DIFF_OPTIONS: Mapping[str, Converter] = {
    "format": choice(*DIFF_FORMATS),
    "limit": count,
    "offset": count,
    "direct": boolean,
}
MERGE_OPTIONS: Mapping[str, Converter] = {"discard": boolean}
DISCARD_OPTIONS: Mapping[str, Converter] = {"force": boolean}
SHADOW_OPTIONS: Mapping[str, Converter] = {
    "return": choice(*SHADOW_RETURNS),
    "tolerance": tolerance,
    "ordered": boolean,
    "runs": runs,
}


def read_branch(reader: Reader) -> Command:
    """Everything that begins with BRANCH."""
    reader.expect("branch")
    for word, read in _VERBS.items():
        if reader.accept(word):
            return read(reader)
    verbs = ", ".join(f"BRANCH {word.upper()}" for word in _VERBS)
    raise reader.error(hint=f"The branch commands are {verbs}.")


def _moment(reader: Reader) -> Moment | None:
    if not reader.accept("as", "of"):
        return None
    if reader.accept("version"):
        return Moment(version=reader.integer())
    reader.expect("timestamp")
    return Moment(timestamp=reader.string())


def _table(reader: Reader) -> TableName:
    token = reader.peek()
    path = reader.path("table name")
    if len(path) > 2:
        raise reader.error(token, hint="A table is named table or schema.table.")
    return TableName(path[-1], path[0] if len(path) == 2 else None)


def _strategy(reader: Reader) -> str:
    token = reader.take()
    if token.kind not in ("word", "string", "quoted"):
        raise reader.error(token)
    return check_strategy(token.value, position=token.start + 1)


def _strategies(reader: Reader) -> tuple[str, tuple[tuple[TableName, str], ...]]:
    """STRATEGY for all conflicts, then ON CONFLICT … USING for those of single tables."""
    strategy = _strategy(reader) if reader.accept("strategy") else "abort"
    per_table = []
    while reader.accept("on", "conflict"):
        table = _table(reader)
        reader.expect("using")
        per_table.append((table, _strategy(reader)))
    return strategy, tuple(per_table)


def _create(reader: Reader) -> Command:
    reader.form = commands.CreateBranch.form
    if_not_exists = reader.accept("if", "not", "exists")
    name = reader.name("branch name")
    source, as_of, options = None, None, {}
    if reader.accept("from"):
        source = reader.name("branch name")
        as_of = _moment(reader)
    if reader.accept("with"):
        options = read_options(reader, CREATE_OPTIONS, "BRANCH CREATE")
    reader.end()
    return commands.CreateBranch(name, source, as_of, if_not_exists, **options)


def _switch(reader: Reader) -> Command:
    reader.form = commands.SwitchBranch.form
    name = reader.name("branch name")
    reader.end()
    return commands.SwitchBranch(name)


def _list(reader: Reader) -> Command:
    reader.form = commands.ListBranches.form
    reader.end()
    return commands.ListBranches()


def _status(reader: Reader) -> Command:
    reader.form = commands.BranchStatus.form
    branch = None if reader.at_end() else reader.name("branch name")
    reader.end()
    return commands.BranchStatus(branch)


def _diff(reader: Reader) -> Command:
    reader.form = commands.DiffBranch.form
    branch = against = as_of = against_as_of = table = None
    options = {}
    if reader.at_name(besides=("against",)):
        branch = reader.name("branch name")
        as_of = _moment(reader)
    if reader.accept("against"):
        against = reader.name("branch name")
        against_as_of = _moment(reader)
    if reader.accept("table"):
        table = _table(reader)
    if reader.accept("with"):
        options = read_options(reader, DIFF_OPTIONS, "BRANCH DIFF")
    reader.end()
    return make_diff(
        commands.DiffBranch(branch, against, table, as_of=as_of, against_as_of=against_as_of, **options)
    )


def make_diff(diff: commands.DiffBranch) -> commands.DiffBranch:
    """``diff`` if its parts go together: rows are shown of one table."""
    if diff.format == "rows" and diff.table is None:
        raise BoughError(
            "22023",
            "a diff by rows needs a table",
            hint="BRANCH DIFF … TABLE t WITH (format 'rows'); BRANCH DIFF alone lists the changed tables.",
            detail="The columns of the result are those of the table.",
        )
    return diff


def _merge(reader: Reader) -> Command:
    reader.form = commands.MergeBranch.form
    branch = reader.name("branch name")
    target = reader.name("branch name") if reader.accept("into") else None
    if reader.accept("continue"):
        reader.end()
        return commands.ContinueMerge(branch, target)
    if reader.accept("abort"):
        reader.end()
        return commands.AbortMerge(branch, target)
    return _merge_clauses(reader, branch, target)


def _merge_clauses(reader: Reader, branch: str, target: str | None) -> commands.MergeBranch:
    tables: list[TableName] = []
    if reader.accept("tables"):
        reader.expect_symbol("(")
        tables.append(_table(reader))
        while reader.accept_symbol(","):
            tables.append(_table(reader))
        reader.expect_symbol(")")
    strategy, per_table = _strategies(reader)
    token = reader.string() if reader.accept("if", "token") else None
    options = read_options(reader, MERGE_OPTIONS, "BRANCH MERGE") if reader.accept("with") else {}
    reader.end()
    return commands.MergeBranch(branch, target, strategy, per_table, tuple(tables), token, **options)


def read_explain_merge(reader: Reader) -> Command:
    """EXPLAIN BRANCH MERGE …"""
    reader.form = commands.ExplainMerge.form
    reader.expect("explain", "branch", "merge")
    branch = reader.name("branch name")
    target = reader.name("branch name") if reader.accept("into") else None
    return commands.ExplainMerge(_merge_clauses(reader, branch, target))


def _conflicts(reader: Reader) -> Command:
    reader.form = commands.ShowConflicts.form
    branch = reader.name("branch name") if reader.at_name() else None
    target = reader.name("branch name") if reader.accept("into") else None
    reader.end()
    return commands.ShowConflicts(branch, target)


def _resolve(reader: Reader) -> Command:
    reader.form = commands.ResolveConflicts.form
    branch = reader.name("branch name")
    target = reader.name("branch name") if reader.accept("into") else None
    table = _table(reader) if reader.accept("table") else None
    conflict = reader.integer() if reader.accept("conflict") else None
    reader.expect("using")
    token = reader.take()
    if token.kind not in ("word", "string"):
        raise reader.error(token)
    resolution = check_choice(token.value, RESOLUTIONS, "resolution", position=token.start + 1)
    reader.end()
    return commands.ResolveConflicts(branch, resolution, table, conflict, target)


def _revert(reader: Reader) -> Command:
    reader.form = commands.RevertMerge.form
    reader.expect("merge")
    merge = reader.integer()
    strategy, per_table = _strategies(reader)
    reader.end()
    return commands.RevertMerge(merge, strategy, per_table)


def _refresh(reader: Reader) -> Command:
    reader.form = commands.RefreshBranch.form
    branch = reader.name("branch name")
    if reader.accept("continue"):
        reader.end()
        return commands.ContinueRefresh(branch)
    if reader.accept("abort"):
        reader.end()
        return commands.AbortRefresh(branch)
    strategy, per_table = _strategies(reader)
    reader.end()
    return commands.RefreshBranch(branch, strategy, per_table)


def _reset(reader: Reader) -> Command:
    reader.form = commands.ResetBranchData.form
    branch = reader.name("branch name")
    version = reader.integer() if reader.accept("to", "version") else None
    reader.end()
    return commands.ResetBranchData(branch, version)


def _alter(reader: Reader) -> Command:
    reader.form = commands.AlterBranch.form
    branch = reader.name("branch name")
    reader.expect("set")
    options = read_options(reader, CREATE_OPTIONS, "BRANCH ALTER")
    reader.end()
    return commands.AlterBranch(branch, **options)


def _rename(reader: Reader) -> Command:
    reader.form = commands.RenameBranch.form
    branch = reader.name("branch name")
    reader.expect("to")
    name = reader.name("branch name")
    reader.end()
    return commands.RenameBranch(branch, name)


def _discard(reader: Reader) -> Command:
    reader.form = commands.DiscardBranch.form
    if_exists = reader.accept("if", "exists")
    branch = reader.name("branch name")
    cascade = reader.accept("cascade")
    options = read_options(reader, DISCARD_OPTIONS, "BRANCH DISCARD") if reader.accept("with") else {}
    reader.end()
    return commands.DiscardBranch(branch, if_exists, cascade, **options)


def _restore(reader: Reader) -> Command:
    reader.form = commands.RestoreBranch.form
    branch = reader.name("branch name")
    reader.end()
    return commands.RestoreBranch(branch)


def _gc(reader: Reader) -> Command:
    reader.form = commands.CollectGarbage.form
    reader.end()
    return commands.CollectGarbage()


_VERBS: Mapping[str, Callable[[Reader], Command]] = {
    "create": _create,
    "switch": _switch,
    "list": _list,
    "status": _status,
    "diff": _diff,
    "merge": _merge,
    "conflicts": _conflicts,
    "resolve": _resolve,
    "revert": _revert,
    "refresh": _refresh,
    "reset": _reset,
    "alter": _alter,
    "rename": _rename,
    "discard": _discard,
    "restore": _restore,
    "gc": _gc,
}


def read_shadow(reader: Reader) -> Command:
    """SHADOW QUERY ON b1, b2 AS SELECT … [WITH (…)]"""
    reader.form = commands.ShadowQuery.form
    reader.expect("shadow", "query", "on")
    branches = [reader.name("branch name")]
    while reader.accept_symbol(","):
        branches.append(reader.name("branch name"))
    reader.expect("as")
    if reader.at_end():
        raise reader.error()
    taken, start = reader.rest()
    cut = _options_start(taken)
    query_tokens = taken[:cut]
    if not query_tokens:
        raise reader.error(taken[0])
    options = {}
    if cut < len(taken):
        options_reader = Reader(reader.text[: taken[-1].end])
        options_reader.form = reader.form
        while options_reader.peek().start <= taken[cut].start:
            options_reader.take()
        options = read_options(options_reader, SHADOW_OPTIONS, "SHADOW QUERY")
    returning = options.pop("return", "summary")
    only = query_tokens[0]
    if len(query_tokens) == 1 and only.kind == "string":  # AS $$ SELECT … $$
        query, start = only.value, only.start + only.raw.index(only.value)
    else:
        query = reader.text[start : query_tokens[-1].end]
    return make_shadow(
        commands.ShadowQuery(tuple(branches), query, returning=returning, query_offset=start, **options)
    )


def make_shadow(command: commands.ShadowQuery) -> commands.ShadowQuery:
    """``command`` if it compares something with something."""
    if len(command.branches) < 2:
        raise BoughError(
            "22023",
            "a shadow query compares at least two branches",
            hint="SHADOW QUERY ON main, b AS SELECT …",
            detail="One result has nothing to be compared with.",
        )
    if len(set(command.branches)) < len(command.branches):
        raise BoughError(
            "22023",
            "a shadow query names each branch once",
            detail="A branch is the same as itself.",
            hint="SHADOW QUERY ON main, b AS SELECT …",
        )
    if not command.query.strip():
        raise BoughError(
            "22023", "the query is empty", hint=commands.ShadowQuery.form, detail="There is nothing after AS."
        )
    return command


def _options_start(taken: list[Token]) -> int:
    """Where a closing ``WITH (…)`` begins; the number of tokens where there is none."""
    if taken[-1].raw != ")":
        return len(taken)
    depth = 0
    for index in range(len(taken) - 1, 0, -1):
        if taken[index].kind == "symbol":
            depth += {")": 1, "(": -1}.get(taken[index].value, 0)
        if depth == 0:
            before = taken[index - 1]
            return index - 1 if before.kind == "word" and before.value == "with" else len(taken)
    return len(taken)
