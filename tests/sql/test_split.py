"""Cutting query strings into statements."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branching.errors import BoughError
from proxy.sql.split import split

STATEMENTS = st.sampled_from(
    [
        "SELECT 1",
        "SELECT ';'",
        "SELECT $$;$$",
        "SELECT $a$ $b$ ; $a$",
        "SELECT E'\\';'",
        'SELECT 1 AS "a;b"',
        "SELECT /* ; /* ; */ ; */ 1",
        "SELECT 1 -- ; \n + 1",
        "SELECT 'é;ü'",
        "BEGIN",
        'BRANCH CREATE "x;y"',
        "SELECT [1,2]",
        "SELECT 'it''s;'",
        "SELECT $1",
        "INSERT INTO t VALUES ('\\')",
        "SELECT U&'d\\0061;'",
    ]
)  # fmt: skip


@given(st.lists(STATEMENTS, max_size=6), st.sampled_from([";", " ; ", ";\n-- x ; y\n", ";;", "; /* ; */ "]))
def test_a_join_of_statements_splits_back(statements: list[str], between: str) -> None:
    text = between.join(statements)
    found = split(text)
    assert [source.text for source in found] == statements
    assert all(text[source.offset :].startswith(source.text) for source in found)


@pytest.mark.parametrize("text", ["", " ", ";", ";;", "-- x", "/* ; */", " /* a /* b */ */ ; -- c"])
def test_nothing(text: str) -> None:
    assert split(text) == []


def test_what_cannot_be_told_apart_is_refused() -> None:
    body = "CREATE FUNCTION f() RETURNS int LANGUAGE sql BEGIN ATOMIC SELECT 1; SELECT 2; END"
    with pytest.raises(BoughError) as caught:
        split(body)
    assert caught.value.sqlstate == "0A000"


def test_limits() -> None:
    with pytest.raises(BoughError) as caught:
        split("SELECT 1" + " " * 1024 * 1024)
    assert caught.value.sqlstate == "54000"
    with pytest.raises(BoughError) as caught:
        split("SELECT '\x00'")
    assert caught.value.sqlstate == "22021"
