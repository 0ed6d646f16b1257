"""HatiData's own client, hatidata-agent 0.4.0, unmodified: every method it has, and its two known bugs."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest
from server_thread import ThreadServer

hatidata_agent = pytest.importorskip("hatidata_agent")


@pytest.fixture
def agent(server: ThreadServer) -> Iterator[Any]:
    made = hatidata_agent.HatiDataAgent(
        host="127.0.0.1", port=server.port, agent_id="my agent x", framework="langchain", database="hatidata"
    )
    yield made
    with contextlib.suppress(AttributeError):
        made.close()


def test_queries(agent: Any, name: str) -> None:
    agent.execute(f"CREATE TABLE {name} (i INTEGER, s VARCHAR)")
    assert agent.execute(f"INSERT INTO {name} VALUES (1, 'a'), (2, 'b')") == 2
    rows = agent.query(f"SELECT * FROM {name} WHERE s = %s", ("o'b\\x",))
    assert rows == []
    assert agent.query(f"SELECT i, s FROM {name} ORDER BY i") == [{"i": 1, "s": "a"}, {"i": 2, "s": "b"}]


def test_memory(agent: Any, name: str) -> None:
    first = agent.store_memory(
        f"{name} likes tea", memory_type="preference", metadata={"k": 1}, importance=0.9
    )
    agent.store_memory(f"{name} likes 100% o'clock", importance=0.2)
    found = agent.search_memory(f"{name} likes", top_k=5)
    assert len(found) == 2
    assert len(agent.search_memory(f"{name} likes", min_importance=0.5)) == 1
    assert len(agent.search_memory(f"{name} likes", memory_type="preference")) == 1
    assert agent.delete_memory(first) is True
    assert len(agent.search_memory(f"{name} likes")) == 1


def test_state(agent: Any) -> None:
    with pytest.raises(IndexError):  # a bug of the client: a raw %Y in a text with parameters
        agent.set_state("k", {"a": 1})
    assert agent.get_state("k") is None


def test_reasoning(agent: Any) -> None:
    with agent.reasoning_chain("req-9") as chain:
        assert chain.query("SELECT 1 AS one", step=1) == [{"one": 1}]
        assert agent.query("SHOW hatidata_request_id")[0]["hatidata_request_id"] == "req-9"
    # The client does not escape what it puts into its options: the rest of the value is stray words.
    assert agent.query("SELECT current_setting('hatidata_agent_id') AS id") == [{"id": "my"}]


def test_branches_by_sql(agent: Any, branch: str) -> None:
    agent.execute(f'BRANCH SWITCH "{branch}"')
    assert agent.query("SELECT current_branch() AS b") == [{"b": branch}]
    assert branch in [row["name"] for row in agent.query("BRANCH LIST")]
    agent.execute("BRANCH SWITCH main")


def test_context_functions_are_missing_with_a_hint(agent: Any) -> None:
    for call in (lambda: agent.get_context("t", "q"), lambda: agent.get_rag_context("t", "e", [0.1, 0.2])):
        with pytest.raises(Exception, match="hatidata_"):
            call()
