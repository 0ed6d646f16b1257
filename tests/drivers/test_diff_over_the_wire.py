"""A branch's diff as a client uses it: statements that really make the branch again, typed rows, counts of cells."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import Any

import psycopg
import pytest
from server_thread import ThreadServer

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
