"""The same commands as table functions, for clients that can only SELECT.

``SELECT * FROM bough.branch_create('b', from => 'main', ttl => '24h')``. The session finds the call in the
statement's tree, evaluates its constant arguments and hands them over; what comes back is the same dataclass
the grammar makes.

Rules:

1. Arguments are given by place, by name, or both; None means "not given".
2. Values go through the same checks as in the grammar, so both spellings fail alike.
3. A command without rows returns one row as a function: its tag, in the column ``result``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from branching.errors import BoughError

from . import branch as commands
from . import options
from .branch_grammar import DIFF_FORMATS, SHADOW_RETURNS, make_diff, make_shadow
from .model import UNSET, Command, Moment, TableName
from .names import RESOLUTIONS, check_choice, check_name, check_strategy
from .reader import split_path
from .remote import CallTool
from .results import DONE, Columns
from .tools import OPTIONAL, TOOLS

Arguments = dict[str, Any]


# Argument names people and HatiData's tools use, where a function has the other one.
_SYNONYMS: Mapping[str, str] = {
    "target": "into",
    "into": "target",
    "base": "against",
    "name": "branch",
    "branch": "name",
}


@dataclass(frozen=True, slots=True)
class FunctionForm:
    """One function: its parameters in order, how many of them it needs, and what it makes of them."""

    name: str
    parameters: tuple[str, ...]
    required: int
    make: Callable[[Arguments], Command]
    command: type[Command]
    synonyms: Mapping[str, str] = field(default_factory=lambda: _SYNONYMS)
    yielding: frozenset[str] = frozenset()  # synonyms that say nothing where the parameter itself is given

    @property
    def signature(self) -> str:
        needed = self.parameters[: self.required]
        optional = self.parameters[self.required :]
        shown = ", ".join((*needed, *(f"{name} => …" for name in optional)))
        return f"{self.name}({shown})"

    def parameter(self, place: int | str) -> str | None:
        """The parameter that an argument is for, by its place or its name; None if there is none."""
        if isinstance(place, int):
            return self.parameters[place] if place < len(self.parameters) else None
        folded = place.lower()
        if folded not in self.parameters:
            folded = self.synonyms.get(folded, folded)
        return folded if folded in self.parameters else None


def from_function(name: str, positional: Sequence[Any], named: Mapping[str, Any]) -> Command:
    """The command that the call ``name(positional…, named => …)`` stands for."""
    form = FUNCTIONS.get(name.lower())
    if form is None:
        raise BoughError(
            "42883",
            f"function {name} does not exist",
            hint="docs/commands.md lists the functions.",
            detail="No command has a function of that name.",
        )
    if form.yielding and len(positional) == len(form.parameters) + 1:
        # The datasource, its database and the rest, all by their places.
        positional = [positional[0], *positional[2:]]
    if len(positional) > len(form.parameters):
        raise _arguments(form, f"it takes at most {len(form.parameters)} arguments, not {len(positional)}")
    arguments: Arguments = dict(zip(form.parameters, positional, strict=False))
    said = {*arguments, *(key.lower() for key in named)}
    for key, value in named.items():
        folded = form.parameter(key)
        if key.lower() in form.yielding and folded in said:
            continue
        if folded is None:
            raise _arguments(form, f'it has no argument "{key}"')
        if folded in arguments:
            raise _arguments(form, f'the argument "{key}" is given twice')
        arguments[folded] = value
    arguments = {key: value for key, value in arguments.items() if value is not None}
    for parameter in form.parameters[: form.required]:
        if parameter not in arguments:
            raise _arguments(form, f'the argument "{parameter}" is missing')
    return form.make(arguments)


def function_columns(command: Command) -> Columns | None:
    """What ``SELECT * FROM function(…)`` returns: the command's rows, or its tag."""
    return command.columns if command.returns_rows else DONE


def _arguments(form: FunctionForm, detail: str) -> BoughError:
    return BoughError(
        "42883", f"wrong arguments for {form.name}", detail=detail, hint=f"The form is: {form.signature}"
    )


# Parameters that are no text: their engine type, and a value that stands for one that is not known yet.
_BOOLEANS = ("protected", "discard", "force", "cascade", "if_exists", "if_not_exists", "direct", "ordered",
             "dry_run", "validate")  # fmt: skip
_COUNTS = ("limit", "offset", "conflict", "merge", "version", "runs", "batch_size", "min_rows", "max_rows")
KINDS: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(_BOOLEANS, "BOOLEAN"),
        **dict.fromkeys(_COUNTS, "BIGINT"),
        **dict.fromkeys(("branches", "tables"), "VARCHAR[]"),
        "tolerance": "DOUBLE",
    }
)
STAND_INS: Mapping[str, Any] = MappingProxyType(
    {
        **dict.fromkeys(_BOOLEANS, False),
        **dict.fromkeys(_COUNTS, 1),
        "branches": ("any", "other"),
        "tables": ("any",),
        "tolerance": 0.0,
        "ttl": "1h",
        "strategy": "abort",
        "using": "branch",
        "sql": "SELECT 1",
        "timestamp": "2000-01-01",
    }
)
SHAPING = frozenset({"format", "return"})  # which columns there are depends on their values


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if not isinstance(value, str | int | float):
        raise BoughError(
            "42883",
            f"{value!r} is not a text argument",
            detail="Arguments are text, numbers, booleans, or arrays of text.",
            hint="docs/commands.md has the form of each function.",
        )
    return str(value)


def _name(value: Any) -> str:
    return check_name(_text(value), "branch name")


def _table(value: Any) -> TableName:
    path = split_path(_text(value), "table name")
    if len(path) > 2:
        raise BoughError(
            "42602",
            f'"{value}" is not a table name',
            hint="Write 'table' or 'schema.table'.",
            detail="It has more parts than schema and table.",
        )
    return TableName(path[-1], path[0] if len(path) == 2 else None)


def _tables(value: Any) -> tuple[TableName, ...]:
    return tuple(_table(item) for item in (value if isinstance(value, list | tuple) else [value]))


def _names(value: Any) -> tuple[str, ...]:
    items = value if isinstance(value, list | tuple) else _listed(_text(value))
    return tuple(_name(item.strip() if isinstance(item, str) else item) for item in items)


def _listed(text: str) -> list[str]:
    """``a, b`` and an array's ``{a,b}``."""
    if text.startswith("{") and text.endswith("}"):
        return next(csv.reader([text[1:-1]], escapechar="\\", doublequote=False))
    return text.split(",")


def _boolean(value: Any) -> bool:
    return options.boolean(_text(value))


def _count(value: Any) -> int:
    return options.count(_text(value))


_CONVERT: Mapping[str, Callable[[Any], Any]] = MappingProxyType(
    {
        "name": _name,
        "branch": _name,
        "source": _name,
        "target": _name,
        "against": _name,
        "table": _table,
        "tables": _tables,
        "branches": _names,
        "strategy": lambda value: check_strategy(_text(value)),
        "resolution": lambda value: check_choice(_text(value), RESOLUTIONS, "resolution"),
        "format": lambda value: check_choice(_text(value), DIFF_FORMATS, "format"),
        "returning": lambda value: check_choice(_text(value), SHADOW_RETURNS, "value of return"),
        "ttl": lambda value: options.ttl(_text(value)),
        "comment": lambda value: options.optional_text(_text(value)),
        "token": _text,
        "query": _text,
        "protected": _boolean,
        "discard": _boolean,
        "force": _boolean,
        "cascade": _boolean,
        "if_exists": _boolean,
        "if_not_exists": _boolean,
        "direct": _boolean,
        "ordered": _boolean,
        "preview": _boolean,
        "limit": _count,
        "offset": _count,
        "conflict": _count,
        "merge": _count,
        "version": _count,
        "runs": lambda value: options.runs(_text(value)),
        "tolerance": lambda value: options.tolerance(_text(value)),
    }
)
# The public spelling of a parameter where a dataclass calls it otherwise.
_FIELDS = {
    "from": "source",
    "into": "target",
    "to": "target",
    "using": "resolution",
    "return": "returning",
    "sql": "query",
}


def _fields(arguments: Arguments) -> Arguments:
    fields = {_FIELDS.get(key, key): value for key, value in arguments.items()}
    return {key: _CONVERT[key](value) for key, value in fields.items()}


def _plain(command: type[Command]) -> Callable[[Arguments], Command]:
    return lambda arguments: command(**_fields(arguments))


def _create(arguments: Arguments) -> Command:
    version, timestamp = arguments.pop("version", None), arguments.pop("timestamp", None)
    if version is not None and timestamp is not None:
        raise BoughError(
            "22023",
            "a branch starts from a version or from a timestamp, not from both",
            detail="They may be two different moments.",
            hint="Give one of version => … and timestamp => ….",
        )
    as_of = None
    if version is not None:
        as_of = Moment(version=_count(version))
    elif timestamp is not None:
        as_of = Moment(timestamp=_text(timestamp))
    return commands.CreateBranch(as_of=as_of, **_fields(arguments))


def _diff(arguments: Arguments) -> Command:
    return make_diff(commands.DiffBranch(**_fields(arguments)))


def _explain_merge(arguments: Arguments) -> Command:
    return commands.ExplainMerge(commands.MergeBranch(**_fields(arguments)))


def _merge_conflicts(arguments: Arguments) -> Command:
    return commands.ShowConflicts(preview=True, **_fields(arguments))


def _rename(arguments: Arguments) -> Command:
    return commands.RenameBranch(_name(arguments["branch"]), _name(arguments["to"]))


def _alter(arguments: Arguments) -> Command:
    command = commands.AlterBranch(**_fields(arguments))
    if command.ttl is UNSET and command.protected is UNSET and command.comment is UNSET:
        raise BoughError(
            "22023",
            "nothing to change",
            hint=commands.AlterBranch.form,
            detail="None of ttl, protected and comment is given.",
        )
    return command


def _shadow(arguments: Arguments) -> Command:
    return make_shadow(commands.ShadowQuery(**_fields(arguments)))


def _tool(name: str) -> Callable[[Arguments], Command]:
    """An empty text for what may be left out is left out."""
    return lambda arguments: CallTool(
        name, tuple((key, value) for key, value in arguments.items() if key not in OPTIONAL or value != "")
    )


_MERGE = ("branch", "into", "strategy", "tables", "token", "discard")
_Row = tuple[str, str, int, type[Command], Callable[[Arguments], Command] | None]
_TABLE: tuple[_Row, ...] = (
    # name, parameters, how many are required, command, maker (None: the dataclass itself)
    (
        "branch_create",
        "name from ttl protected comment if_not_exists version timestamp",
        1,
        commands.CreateBranch,
        _create,
    ),
    ("branch_switch", "name", 1, commands.SwitchBranch, None),
    ("branch_list", "", 0, commands.ListBranches, None),
    ("branch_status", "branch", 0, commands.BranchStatus, None),
    ("branch_diff", "branch against table format limit offset direct", 0, commands.DiffBranch, _diff),
    ("branch_merge", " ".join(_MERGE), 1, commands.MergeBranch, None),
    ("branch_merge_explain", " ".join(_MERGE), 1, commands.ExplainMerge, _explain_merge),
    ("branch_merge_continue", "branch into", 1, commands.ContinueMerge, None),
    ("branch_merge_abort", "branch into", 1, commands.AbortMerge, None),
    ("branch_conflicts", "branch into", 0, commands.ShowConflicts, None),
    ("merge_conflicts", "branch into", 1, commands.ShowConflicts, _merge_conflicts),
    ("branch_resolve", "branch using table conflict into", 2, commands.ResolveConflicts, None),
    ("branch_revert", "merge strategy", 1, commands.RevertMerge, None),
    ("branch_refresh", "branch strategy", 1, commands.RefreshBranch, None),
    ("branch_refresh_continue", "branch", 1, commands.ContinueRefresh, None),
    ("branch_refresh_abort", "branch", 1, commands.AbortRefresh, None),
    ("branch_reset", "branch version", 1, commands.ResetBranchData, None),
    ("branch_alter", "branch ttl protected comment", 1, commands.AlterBranch, _alter),
    ("branch_rename", "branch to", 2, commands.RenameBranch, _rename),
    ("branch_discard", "branch if_exists cascade force", 1, commands.DiscardBranch, None),
    ("branch_restore", "branch", 1, commands.RestoreBranch, None),
    ("branch_gc", "", 0, commands.CollectGarbage, None),
    ("shadow_query", "sql branches return tolerance ordered runs", 2, commands.ShadowQuery, _shadow),
    ("diff", "table from to", 1, commands.DiffTable, None),
    ("diff_stat", "table from to", 0, commands.DiffStat, None),
)
# HatiData's spellings: (name, ours, its parameters under our names).
_HATIDATA = (
    ("hati_branch_create", "branch_create", "name from"),
    ("hati_branch_merge", "branch_merge", "branch target strategy"),
    ("hati_branch_switch", "branch_switch", "name"),
    ("hati_branch_list", "branch_list", ""),
    ("hati_branch_diff", "branch_diff", "branch against"),
    ("hati_branch_discard", "branch_discard", "branch"),
)


def _functions() -> Mapping[str, FunctionForm]:
    forms: dict[str, FunctionForm] = {}
    for name, parameters, required, command, maker in _TABLE:
        qualified = f"bough.{name}"
        form = FunctionForm(qualified, tuple(parameters.split()), required, maker or _plain(command), command)
        forms[qualified] = form
        if name != "diff":  # too common a word to take from the user's own functions
            forms[name] = form
    for tool in TOOLS.values():
        form = FunctionForm(
            f"bough.{tool.name}",
            tool.parameters,
            tool.required,
            _tool(tool.name),
            CallTool,
            tool.synonyms,
            tool.yielding,
        )
        forms[form.name] = forms[tool.name] = form
    for name, ours, parameters in _HATIDATA:
        form = forms[ours]
        forms[name] = FunctionForm(name, tuple(parameters.split()), form.required, form.make, form.command)
    return MappingProxyType(forms)


FUNCTIONS: Mapping[str, FunctionForm] = _functions()
