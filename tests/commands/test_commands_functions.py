"""The table-function spelling makes the same commands as the grammar."""

from __future__ import annotations

from typing import Any

import pytest

from branching.errors import BoughError
from proxy.commands import FUNCTIONS, from_function, parse_command
from proxy.commands import branch as b
from proxy.commands.functions import function_columns
from proxy.commands.results import DONE, MERGE

SAME = [
    (
        "bough.branch_create",
        ["b"],
        {"from": "main", "ttl": "24h"},
        "BRANCH CREATE b FROM main WITH (ttl '24h')",
    ),
    ("branch_create", ["b"], {"version": 3, "from": "a"}, "BRANCH CREATE b FROM a AS OF VERSION 3"),
    (
        "branch_create",
        ["b", "a"],
        {"timestamp": "2020-01-01"},
        "BRANCH CREATE b FROM a AS OF TIMESTAMP '2020-01-01'",
    ),
    ("branch_merge", ["b"], {"tables": ["t", "s.u"]}, "BRANCH MERGE b TABLES (t, s.u)"),
    ("shadow_query", ["SELECT 1", "a, b"], {}, "SHADOW QUERY ON a, b AS SELECT 1"),
    ("bough.branch_switch", ["b"], {}, "BRANCH SWITCH b"),
    ("bough.branch_list", [], {}, "BRANCH LIST"),
    ("bough.branch_status", [], {"branch": "b"}, "BRANCH STATUS b"),
    ("bough.branch_diff", ["b", "main"], {}, "BRANCH DIFF b AGAINST main"),
    ("branch_diff", ["b", "a", "s.t", "rows"], {}, "BRANCH DIFF b AGAINST a TABLE s.t WITH (format rows)"),
    ("bough.branch_merge", ["b"], {"strategy": "branch_wins"}, "BRANCH MERGE b STRATEGY branch_wins"),
    ("bough.branch_merge", [], {"branch": "b", "target": "t"}, "BRANCH MERGE b INTO t"),
    ("bough.branch_create", [], {"NAME": "b"}, "BRANCH CREATE b"),
    ("bough.branch_diff", [], {"branch": "b", "base": "main"}, "BRANCH DIFF b AGAINST main"),
    ("bough.branch_merge", ["b", None], {"discard": True}, "BRANCH MERGE b WITH (discard true)"),
    ("bough.branch_merge_explain", ["b", "t"], {}, "EXPLAIN BRANCH MERGE b INTO t"),
    ("bough.branch_merge_continue", ["b"], {}, "BRANCH MERGE b CONTINUE"),
    ("bough.branch_merge_abort", ["b"], {}, "BRANCH MERGE b ABORT"),
    ("bough.branch_conflicts", ["b"], {}, "BRANCH CONFLICTS b"),
    ("bough.branch_resolve", ["b", "base"], {"conflict": 4}, "BRANCH RESOLVE b CONFLICT 4 USING base"),
    ("bough.branch_revert", [4], {}, "BRANCH REVERT MERGE 4"),
    ("bough.branch_revert", [4], {"strategy": "main_wins"}, "BRANCH REVERT MERGE 4 STRATEGY main_wins"),
    ("bough.branch_refresh", ["b"], {}, "BRANCH REFRESH b"),
    ("bough.branch_refresh_continue", ["b"], {}, "BRANCH REFRESH b CONTINUE"),
    ("bough.branch_refresh_abort", ["b"], {}, "BRANCH REFRESH b ABORT"),
    ("bough.branch_merge_continue", ["b"], {"into": "c"}, "BRANCH MERGE b INTO c CONTINUE"),
    ("bough.branch_reset", ["b", 4], {}, "BRANCH RESET b TO VERSION 4"),
    ("bough.branch_alter", ["b"], {"ttl": "none"}, "BRANCH ALTER b SET (ttl NONE)"),
    ("bough.branch_rename", ["b", "c"], {}, "BRANCH RENAME b TO c"),
    ("bough.branch_discard", ["b"], {"force": True}, "BRANCH DISCARD b WITH (force true)"),
    ("bough.branch_restore", ["b"], {}, "BRANCH RESTORE b"),
    ("bough.branch_gc", [], {}, "BRANCH GC"),
    ("shadow_query", ["SELECT 1", ["a", "b"]], {"runs": 3}, "SHADOW QUERY ON a, b AS SELECT 1 WITH (runs 3)"),
    ("hati_branch_create", ["b"], {}, "BRANCH CREATE b"),
    ("hati_branch_merge", ["b", "main"], {}, "BRANCH MERGE b INTO main"),
    ("hati_branch_discard", ["b"], {}, "BRANCH DISCARD b"),
]


@pytest.mark.parametrize(("name", "positional", "named", "text"), SAME, ids=[row[3] for row in SAME])
def test_a_call_is_the_command(name: str, positional: list[Any], named: dict[str, Any], text: str) -> None:
    assert from_function(name, positional, named) == parse_command(text)


def test_functions_without_a_command() -> None:
    assert from_function("bough.merge_conflicts", ["b", "t"], {}) == b.ShowConflicts("b", "t", preview=True)
    command = from_function("bough.diff", ["public.t", "main", "b"], {})
    assert isinstance(command, b.DiffTable)
    assert command.columns is None
    assert "diff" not in FUNCTIONS


@pytest.mark.parametrize(
    ("name", "positional", "named", "state"),
    [
        ("bough.nothing", [], {}, "42883"),
        ("bough.branch_create", [], {}, "42883"),
        ("bough.branch_create", [None], {}, "42883"),
        ("bough.branch_create", ["b"], {"name": "b"}, "42883"),
        ("bough.branch_create", ["b"], {"color": "red"}, "42883"),
        ("bough.branch_list", ["b"], {}, "42883"),
        ("bough.branch_create", [["b"]], {}, "42883"),
        ("bough.branch_create", [""], {}, "42602"),
        ("bough.branch_create", ["b"], {"version": 1, "timestamp": "2020-01-01"}, "22023"),
        ("bough.branch_merge", ["b"], {"strategy": "ours"}, "22023"),
        ("bough.branch_merge", ["b"], {"discard": "perhaps"}, "22023"),
        ("bough.branch_diff", ["b"], {"format": "rows"}, "22023"),
        ("bough.branch_alter", ["b"], {}, "22023"),
        ("bough.branch_revert", ["four"], {}, "22023"),
        ("shadow_query", ["SELECT 1", ["a"]], {}, "22023"),
        ("bough.diff", ["a.b.c"], {}, "42602"),
    ],
)
def test_wrong_calls(name: str, positional: list[Any], named: dict[str, Any], state: str) -> None:
    with pytest.raises(BoughError) as caught:
        from_function(name, positional, named)
    assert caught.value.sqlstate == state


def test_what_a_call_returns() -> None:
    assert function_columns(from_function("branch_create", ["b"], {})) == DONE
    assert function_columns(from_function("branch_merge", ["b"], {})) == MERGE
