"""A branch's diff as a client uses it: statements that really make the branch again, typed rows, counts of cells."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from effort import seeds
from server_thread import ThreadServer

pytestmark = pytest.mark.sampled

Client = psycopg.Connection[Any]


@pytest.fixture
def client(start: Callable[..., ThreadServer]) -> Iterator[Client]:
    with start().connect() as connection:
        yield connection


def ask(client: Client, text: str) -> list[tuple[Any, ...]]:
    return client.execute(text).fetchall()


BASE = """
CREATE TABLE t (id INT PRIMARY KEY, a INT NOT NULL DEFAULT 4, b TEXT, tags TEXT[], doc JSONB, n NUMERIC(10,2),
    raw BYTEA, span INTERVAL, at TIMESTAMPTZ, f FLOAT8, gone UUID, CHECK (a < 100000));
INSERT INTO t SELECT i, i * 10, 'x''y"z', ARRAY['a,b', 'c''d'], '{"k": [1]}', i + 0.5, '\\x00ff27'::bytea,
    INTERVAL '1 day', '2024-01-01 10:00:00+02', 0.1, NULL FROM generate_series(1, 5) i;
CREATE TABLE keyless (x INT, y TEXT);
INSERT INTO keyless VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, 'b'), (NULL, NULL);
CREATE TABLE parent (id INT PRIMARY KEY);
INSERT INTO parent VALUES (1), (2);
CREATE TABLE child (id INT PRIMARY KEY, parent_id INT REFERENCES parent (id));
INSERT INTO child VALUES (1, 1), (2, 2);
CREATE VIEW v AS SELECT id, a FROM t;
CREATE VIEW over_v AS SELECT * FROM v;
CREATE INDEX old_index ON t (a)
"""
CHANGES = """
UPDATE t SET a = 100, b = NULL, tags = ARRAY['z'], raw = '\\x01'::bytea, f = 'NaN',
    span = '3 mons', doc = NULL WHERE id = 1;
DELETE FROM t WHERE id = 2;
INSERT INTO t VALUES (10, 5, E'line\\nnext \\\\ back', ARRAY[]::TEXT[], '[]', 1,
    '\\xdeadbeef'::bytea, NULL, NULL, 'Infinity', NULL);
UPDATE t SET id = 3000 WHERE id = 3;
UPDATE t SET id = 3 WHERE id = 4;
DELETE FROM keyless WHERE x = 2;
UPDATE keyless SET y = 'changed' WHERE x IS NULL;
INSERT INTO keyless VALUES (1, 'a'), (9, NULL);
ALTER TABLE t ADD COLUMN extra INT DEFAULT 7;
ALTER TABLE t ADD COLUMN must TEXT DEFAULT 'm' NOT NULL;
ALTER TABLE t RENAME COLUMN n TO num;
ALTER TABLE t DROP COLUMN gone;
ALTER TABLE t ALTER COLUMN a DROP DEFAULT;
COMMENT ON TABLE t IS 'it''s t';
COMMENT ON COLUMN t.b IS 'the b';
DROP INDEX old_index;
CREATE UNIQUE INDEX new_index ON t (a);
CREATE TABLE fresh (id SERIAL PRIMARY KEY, parent_id INT REFERENCES parent (id));
INSERT INTO fresh (parent_id) VALUES (1), (1);
DELETE FROM child WHERE id = 2;
DELETE FROM parent WHERE id = 2;
INSERT INTO parent VALUES (3);
INSERT INTO child VALUES (7, 3);
DROP VIEW over_v;
DROP VIEW v;
CREATE VIEW v AS SELECT id, num FROM t;
CREATE VIEW w AS SELECT count(*) AS n FROM fresh;
CREATE SCHEMA s;
ALTER TABLE child RENAME TO children
"""


def test_the_statements_of_a_diff_make_the_branch_again(client: Client) -> None:
    client.execute(BASE)
    for name in ("b", "again"):
        client.execute(f"BRANCH CREATE {name}")
    client.execute("BRANCH SWITCH b")
    client.execute(CHANGES)
    statements = [row[0] for row in ask(client, "BRANCH DIFF b WITH (format 'sql')")]
    client.execute("BRANCH SWITCH again")
    for text in statements:
        client.execute(text)
    reads = [
        *(
            f"SELECT * FROM {name} ORDER BY ALL"
            for name in ("t", "keyless", "parent", "children", "fresh", "v", "w")
        ),
        "SELECT obj_description('t'::regclass), col_description('t'::regclass, 3)",
        "SELECT column_name, data_type, is_nullable, column_default FROM information_schema.columns"
        " WHERE table_name IN ('t', 'fresh', 'children') ORDER BY ALL",
        "SELECT conname FROM pg_constraint ORDER BY 1",
        "SELECT indexname FROM pg_indexes WHERE schemaname = 'public' ORDER BY 1",
        "SELECT count(*) FROM pg_namespace WHERE nspname = 's'",
    ]
    found = {text: repr(ask(client, text)) for text in reads}
    assert ask(client, "INSERT INTO fresh DEFAULT VALUES RETURNING id") == [(3,)], (
        "ids are not handed out twice"
    )
    client.execute("BRANCH SWITCH b")
    assert {text: repr(ask(client, text)) for text in reads} == found


def test_a_diff_has_the_types_of_its_table(client: Client) -> None:
    client.execute(BASE)
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE t SET n = n + 1, raw = '\\xdeadbeef'::bytea, span = '3 mons' WHERE id = 1")
    row = ask(
        client,
        "SELECT to_id, to_n, from_n, to_tags, to_raw, to_span > from_span, to_at = from_at"
        " FROM bough.diff('t', 'main', 'b') WHERE to_n > 2",
    )
    assert row == [(1, Decimal("2.50"), Decimal("1.50"), ["a,b", "c'd"], b"\xde\xad\xbe\xef", True, True)]


def test_what_changed_counted_in_cells(client: Client) -> None:
    client.execute("CREATE TABLE t (id INT PRIMARY KEY, a INT, b INT)")
    client.execute("INSERT INTO t SELECT i, i, i FROM generate_series(1, 10) i")
    client.execute("CREATE TABLE same (id INT)")
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE t SET a = 0, b = 0 WHERE id = 1")
    client.execute("DELETE FROM t WHERE id = 2")
    client.execute("INSERT INTO t VALUES (11, 1, 1), (12, 1, 1)")
    wanted = ("public", "t", 8, 2, 1, 1, 6, 3, 2, 10, 11, 30, 33)
    assert ask(client, "SELECT * FROM bough.diff_stat()") == [wanted]
    assert ask(client, "SELECT * FROM bough.diff_stat('t', 'main', 'b')") == [wanted]
    assert ask(client, "SELECT rows_unmodified FROM bough.diff_stat('same')") == [(0,)]
    client.execute("ALTER TABLE t ADD COLUMN c INT")
    assert ask(client, "SELECT cells_added, new_cell_count FROM bough.diff_stat('t')") == [(2 * 4 + 9, 44)]


@pytest.mark.parametrize("seed", seeds(8))
def test_statements_make_a_fork_of_the_base_equal(client: Client, seed: int) -> None:
    """Rows that come and go by chance, many of them equal; applied to a fork of the base nothing is left to see."""
    chance = random.Random(seed)
    values = ["NULL", "'a'", "'b''c'", "E'\\n\\\\'", "'ü€'"]

    def write(table: str) -> str:
        v, w, old = chance.choice(values), chance.randint(0, 3), chance.randint(0, 3)
        return chance.choice(
            [
                f"INSERT INTO {table} (x, y) VALUES ({w}, {v}), ({old}, {v})",
                f"DELETE FROM {table} WHERE x = {w} AND random() < 0.5",
                f"UPDATE {table} SET y = {v} WHERE x = {w}",
                f"UPDATE {table} SET x = x + 1 WHERE x = {w} AND random() < 0.6",
                f"UPDATE {table} SET x = {w}, y = {v} WHERE x IS NOT DISTINCT FROM {old}",
            ]
        )

    odd = '"Käse ""q"""'
    client.execute("CREATE TABLE plain (x INT, y TEXT, z NUMERIC(6,2) DEFAULT 1.5, d DATE)")
    client.execute(
        f"CREATE TABLE {odd} (id SERIAL PRIMARY KEY, x INT, y TEXT UNIQUE, g INT GENERATED ALWAYS AS (x * 2) STORED)"
    )
    for _ in range(8):
        client.execute(write("plain"))
    client.execute(f"INSERT INTO {odd} (x, y) SELECT i % 3, 'y' || i FROM generate_series(1, 9) i")
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH CREATE again")
    client.execute("BRANCH SWITCH b")
    for _ in range(8):
        client.execute(write("plain"))
    client.execute(f"UPDATE {odd} SET id = id + 100 WHERE x = 1")
    client.execute(f"UPDATE {odd} SET y = y || '!' WHERE x = 2")
    client.execute(f"DELETE FROM {odd} WHERE x = 0")
    client.execute(f"INSERT INTO {odd} (x, y) VALUES (5, 'y3'), (6, NULL)")
    statements = [row[0] for row in ask(client, "BRANCH DIFF b WITH (format 'sql')")]
    paged = []
    for offset in range(0, len(statements), 3):
        paged += ask(client, f"BRANCH DIFF b WITH (format 'sql', limit 3, offset {offset})")
    assert [row[0] for row in paged] == statements and len(statements) > 9
    client.execute("BRANCH SWITCH again")
    for text in statements:
        client.execute(text)
    assert ask(client, "BRANCH DIFF again AGAINST b WITH (direct true)") == []
    everything = "SELECT x, y, z FROM {}plain ORDER BY ALL"
    assert ask(client, everything.format("")) == ask(client, everything.format("b.public."))


def test_one_of_several_equal_rows(client: Client) -> None:
    client.execute("CREATE TABLE k (x INT, y TEXT)")
    client.execute("INSERT INTO k VALUES (1, 'a'), (1, 'a'), (1, 'a'), (2, NULL), (3, 'c')")
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    client.execute("DELETE FROM k WHERE x = 2")
    client.execute("UPDATE k SET y = 'cc' WHERE x = 3")
    client.execute("DELETE FROM k WHERE x = 1")
    client.execute("INSERT INTO k VALUES (1, 'a')")
    assert [row[0] for row in ask(client, "BRANCH DIFF b TABLE k WITH (format 'sql')")] == [
        """DELETE FROM "public"."k" WHERE "x" = 1 AND "y" = 'a';""",
        """INSERT INTO "public"."k" ("x", "y") VALUES (1, 'a');""",
        """DELETE FROM "public"."k" WHERE "x" = 2 AND "y" IS NULL;""",
        """UPDATE "public"."k" SET "y" = 'cc' WHERE "x" = 3 AND "y" = 'c';""",
    ]


def test_counts_are_net(client: Client) -> None:
    """What was changed and changed back is no change, with and without a key."""
    client.execute("CREATE TABLE k (x INT, y TEXT)")
    client.execute("CREATE TABLE t (id INT PRIMARY KEY, y TEXT)")
    for table in ("k", "t"):
        client.execute(f"INSERT INTO {table} VALUES (1, 'a'), (2, NULL), (3, 'c')")
    client.execute("CREATE TABLE wider (x INT)")
    client.execute("BRANCH CREATE b")
    client.execute("BRANCH SWITCH b")
    for table, key in (("k", "x"), ("t", "id")):
        client.execute(f"UPDATE {table} SET y = y")
        client.execute(f"UPDATE {table} SET y = 'other'")
        client.execute(f"UPDATE {table} SET y = CASE {key} WHEN 1 THEN 'a' WHEN 3 THEN 'c' END")
        client.execute(f"DELETE FROM {table} WHERE {key} = 2")
        client.execute(f"INSERT INTO {table} VALUES (2, NULL), (9, 'x')")
        client.execute(f"DELETE FROM {table} WHERE {key} = 9")
    client.execute("UPDATE k SET x = 4 - x, y = CASE x WHEN 1 THEN 'c' WHEN 3 THEN 'a' END")
    client.execute("ALTER TABLE wider ADD COLUMN y INT")
    status = {row[1]: row[2:6] for row in ask(client, "BRANCH STATUS")}
    assert status == {
        "k": ("untouched", 0, 0, 0), "t": ("untouched", 0, 0, 0), "wider": ("changed", 0, 0, 0),
    }  # fmt: skip
    assert [row[1] for row in ask(client, "BRANCH DIFF b")] == ["wider"]
    client.execute("DELETE FROM t WHERE id = 3")
    client.execute("INSERT INTO t VALUES (3, 'new')")
    assert ask(client, "SELECT change_type, id, from_y, to_y FROM bough.diff('t')") == [
        ("modified", 3, "c", "new")
    ]


def test_a_conflict_without_a_key_says_which_row(client: Client) -> None:
    """Its identity, which tells equal rows apart, and what it was: of a changed, a deleted row and a dropped column."""
    client.execute("CREATE TABLE k (x INT, y TEXT, z INT)")
    client.execute(
        "INSERT INTO k VALUES (1, 'a', 0), (1, 'a', 0), (2, 'it''s', NULL), (3, repeat('long', 99), 0)"
    )
    client.execute("BRANCH CREATE b")
    client.execute("UPDATE k SET y = 'main' WHERE x < 3")
    client.execute("UPDATE k SET z = 5 WHERE x = 3")
    client.execute("BRANCH SWITCH b")
    client.execute("UPDATE k SET y = 'b' WHERE x = 1")
    client.execute("DELETE FROM k WHERE x = 2")
    client.execute("ALTER TABLE k DROP COLUMN z")
    found = ask(client, "SELECT kind, \"column\", key FROM bough.branch_conflicts('b') ORDER BY kind, key")
    assert [row[:2] for row in found] == [
        ("cell", "y"),
        ("cell", "y"),
        ("delete_modify", None),
        ("schema", "z"),
    ]
    keys = [row[2] for row in found]
    assert all(key.startswith("row ") for key in keys) and len(set(keys)) == 4
    assert [key.partition(": ")[2] for key in keys[:3]] == [
        "{'x': 1, 'y': a, 'z': 0}", "{'x': 1, 'y': a, 'z': 0}", "{'x': 2, 'y': 'it\\'s', 'z': NULL}",
    ]  # fmt: skip
    assert "'x': 3" in keys[3] and keys[3].endswith("lo…") and len(keys[3]) < 230
    client.execute("BRANCH MERGE b STRATEGY manual")
    settled = client.execute("UPDATE bough.conflicts SET resolution = 'branch' WHERE key = %s", (keys[0],))
    assert settled.rowcount == 1
    client.execute("UPDATE bough.conflicts SET resolution = 'target' WHERE resolution IS NULL")
    client.execute("BRANCH MERGE b CONTINUE")
    client.execute("BRANCH SWITCH main")
    assert ask(client, "SELECT y FROM k WHERE x = 1 ORDER BY 1") == [("b",), ("main",)]
