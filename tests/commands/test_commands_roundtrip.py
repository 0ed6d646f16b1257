"""Every command that can be written is read back as the same value; other texts are left to SQL."""

from __future__ import annotations

import unicodedata
from datetime import timedelta

import command_text
from hypothesis import given
from hypothesis import strategies as st

from branching.errors import BoughError
from proxy.commands import UNSET, Moment, TableName, parse_command
from proxy.commands import branch as b
from proxy.commands.names import STRATEGIES

names = (
    st.text(st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Cn")), min_size=1, max_size=15)
    .map(lambda text: unicodedata.normalize("NFC", text))
    .filter(lambda text: text.strip() and len(text.encode()) <= 63)
)
tables = st.builds(TableName, names, st.none() | names)
versions = st.integers(0, 10**17)
moments = st.builds(Moment, versions) | st.builds(Moment, st.none(), st.text(max_size=9))
ttls = st.none() | st.just(UNSET) | st.integers(1, 10**6).map(lambda minutes: timedelta(minutes=minutes))
strategies = st.sampled_from(STRATEGIES)
comments = st.text(st.characters(exclude_characters="\x00"), max_size=20).filter(
    lambda text: text.lower() not in ("none", "null")
)
merges = st.builds(
    b.MergeBranch,
    names,
    st.none() | names,
    strategies,
    st.lists(st.tuples(tables, strategies), max_size=3).map(tuple),
    st.lists(tables, max_size=3).map(tuple),
    st.none() | st.text(max_size=9),
    st.booleans(),
)
queries = st.sampled_from(
    ["SELECT 1", "WITH x AS (SELECT 1) SELECT (2)", "SELECT ';)' AS \"WITH (\"", "SELECT $$)$$ -- (\n, (3)"]
)


def creates() -> st.SearchStrategy[object]:
    plain = st.builds(
        b.CreateBranch, names, st.none(), st.none(), st.booleans(), ttls, st.booleans(), comments
    )
    dated = st.builds(b.CreateBranch, names, names, st.none() | moments, st.booleans(), ttls)
    return plain | dated


def diffs() -> st.SearchStrategy[object]:
    limits = st.none() | versions
    formats = st.sampled_from(["summary", "schema", "sql"])
    loose = st.builds(
        b.DiffBranch,
        st.none() | names,
        st.none() | names,
        st.none() | tables,
        formats,
        limits,
        versions,
        st.booleans(),
    )
    rows = st.builds(b.DiffBranch, names, names, tables, st.just("rows"), as_of=st.none() | moments)
    return loose | rows


def shadows() -> st.SearchStrategy[object]:
    branches = st.lists(names, min_size=2, max_size=4, unique=True).map(tuple)
    returns = st.sampled_from(["summary", "rows", "diff", "plan"])
    tolerances = st.floats(0, 1, allow_nan=False)
    return st.builds(
        b.ShadowQuery, branches, queries, returns, tolerances, st.booleans(), st.integers(1, 1000)
    )


others = (
    st.builds(b.CreateDatabase, names, st.none() | names.filter(lambda text: not text.startswith("template")))
    | st.builds(b.ExplainMerge, merges)
    | st.builds(
        b.ResolveConflicts,
        names,
        st.sampled_from(["branch", "target", "base"]),
        st.none() | tables,
        st.none() | versions,
    )
    | st.builds(b.AlterBranch, names, ttls, st.booleans() | st.just(UNSET), comments | st.none())
)


@given(creates() | diffs() | merges | shadows() | others)
def test_a_rendered_command_reads_as_itself(command: object) -> None:
    assert parse_command(command_text.text(command)) == command


@given(st.text())
def test_any_text_is_a_command_or_sql_or_a_clear_error(text: str) -> None:
    for prefix in ("", "BRANCH ", "BRANCH CREATE ", "SHADOW QUERY ON a, b AS ", "TRANSFER ", "SET branch "):
        try:
            parse_command(prefix + text)
        except BoughError as error:
            assert error.sqlstate in ("42601", "42602", "22023", "22025", "0A000")
            assert error.message
            assert error.position is None or 1 <= error.position <= len(prefix + text) + 1
