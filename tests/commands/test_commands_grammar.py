"""The grammar by examples: what is ours, what is not, and what a wrong command is told."""

from __future__ import annotations

from datetime import timedelta

import pytest

from branching.errors import BoughError
from proxy.commands import Moment, TableName, parse_command
from proxy.commands import branch as b
from proxy.commands import remote as r
from proxy.commands.grammar import READERS

RIGHT = [
    ("BRANCH CREATE b", b.CreateBranch("b")),
    ("branch create B;", b.CreateBranch("b")),
    ("/* a /* b */ */ BRANCH -- x\n LIST", b.ListBranches()),
    ('BRANCH CREATE \'My b\' FROM "a""x"', b.CreateBranch("My b", 'a"x')),
    ("BRANCH CREATE E'caf\\u00e9'", b.CreateBranch("café")),
    ("BRANCH CREATE $$x$$", b.CreateBranch("x")),
    ('BRANCH CREATE "cafe\u0301"', b.CreateBranch("caf\u00e9")),
    ("BRANCH CREATE b FROM main AS OF VERSION 7", b.CreateBranch("b", "main", Moment(version=7))),
    ("BRANCH CREATE b WITH (ttl 7d)", b.CreateBranch("b", ttl=timedelta(days=7))),
    ("BRANCH CREATE b WITH (ttl NONE, protected)", b.CreateBranch("b", ttl=None, protected=True)),
    ("BRANCH CREATE b WITH (ttl = '1 day')", b.CreateBranch("b", ttl=timedelta(days=1))),
    ("BRANCH CREATE E'it''s'", b.CreateBranch("it's")),
    ("BRANCH DIFF TABLE 'S.\"T\"'", b.DiffBranch(table=TableName("T", "s"))),
    ("SHADOW QUERY ON a, b AS SELECT f(1) x)", b.ShadowQuery(("a", "b"), "SELECT f(1) x)")),
    (
        "RECONCILE a WITH (SELECT 1) CHECKS (rows, sums)",
        r.Reconcile(r.Origin(("a",)), r.Origin(query="SELECT 1"), (), ("rows", "sums")),
    ),
    ("/* /* /*/ */ */ */ BRANCH SWITCH main", b.SwitchBranch("main")),
    ("SHOW BRANCHES", b.ListBranches()),
    ("show branch", b.ShowBranch()),
    ("SET branch = 'b'", b.SetBranch("b")),
    ("SET \"branch\" = 'b'", b.SetBranch("b")),
    ('SET LOCAL "branch" TO b', b.SetLocalBranch("b")),
    ('SHOW "branch"', b.ShowBranch()),
    ('RESET "branch"', b.ResetBranch()),
    ("SET SESSION branch TO b", b.SetBranch("b")),
    ("SET branch TO DEFAULT", b.SetBranch(None)),
    ("SET LOCAL branch = b", b.SetLocalBranch("b")),
    ("RESET branch", b.ResetBranch()),
    ("BRANCH STATUS", b.BranchStatus()),
    ("BRANCH DIFF", b.DiffBranch()),
    ("BRANCH DIFF AGAINST a", b.DiffBranch(against="a")),
    ("BRANCH DIFF b TABLE s.t WITH (format rows)", b.DiffBranch("b", None, TableName("t", "s"), "rows")),
    ("BRANCH MERGE b", b.MergeBranch("b")),
    ("BRANCH MERGE b STRATEGY target_wins", b.MergeBranch("b", strategy="main_wins")),
    ("BRANCH MERGE b TABLES (t, s.u)", b.MergeBranch("b", tables=(TableName("t"), TableName("u", "s")))),
    ("BRANCH MERGE b CONTINUE", b.ContinueMerge("b")),
    ("BRANCH MERGE b ABORT", b.AbortMerge("b")),
    ("BRANCH CONFLICTS", b.ShowConflicts()),
    ("BRANCH CONFLICTS b INTO t", b.ShowConflicts("b", "t")),
    ("BRANCH REVERT MERGE 4", b.RevertMerge(4)),
    (
        "BRANCH REVERT MERGE 4 STRATEGY branch_wins ON CONFLICT t USING main_wins",
        b.RevertMerge(4, "branch_wins", ((TableName("t"), "main_wins"),)),
    ),
    ("BRANCH REFRESH b", b.RefreshBranch("b")),
    ("BRANCH REFRESH b STRATEGY manual", b.RefreshBranch("b", "manual")),
    ("BRANCH REFRESH b CONTINUE", b.ContinueRefresh("b")),
    ("BRANCH REFRESH b ABORT", b.AbortRefresh("b")),
    ("BRANCH MERGE b INTO c CONTINUE", b.ContinueMerge("b", "c")),
    ("BRANCH MERGE b INTO c ABORT", b.AbortMerge("b", "c")),
    (
        "BRANCH RESOLVE b INTO c TABLE t USING base",
        b.ResolveConflicts("b", "base", TableName("t"), None, "c"),
    ),
    ("BRANCH RESET b TO VERSION 9", b.ResetBranchData("b", 9)),
    ("BRANCH RENAME b TO c", b.RenameBranch("b", "c")),
    ("BRANCH DISCARD IF EXISTS b CASCADE WITH (force)", b.DiscardBranch("b", True, True, True)),
    ("BRANCH RESTORE b", b.RestoreBranch("b")),
    ("BRANCH GC", b.CollectGarbage()),
    ('CREATE DATABASE "b" TEMPLATE "a" OWNER x ENCODING \'UTF8\'', b.CreateDatabase("b", "a")),
    ("CREATE DATABASE b WITH TEMPLATE = template0 CONNECTION LIMIT = -1", b.CreateDatabase("b")),
    ("DROP DATABASE IF EXISTS b WITH (FORCE)", b.DropDatabase("b", True, False, True)),
    ("COMMENT ON DATABASE b IS 'x'", b.CommentOnDatabase("b", comment="x")),
    ("COMMENT ON DATABASE b IS NULL", b.CommentOnDatabase("b", comment=None)),
    ("ALTER DATABASE b RENAME TO c", b.RenameDatabase("b", "c")),
    ("SHADOW QUERY ON a, b AS $$ SELECT 1 $$", b.ShadowQuery(("a", "b"), " SELECT 1 ")),
    (
        "CREATE DATASOURCE pg TYPE postgres OPTIONS (host 'h', port '5432')",
        r.CreateDatasource("pg", "postgres", (("host", "h"), ("port", "5432"))),
    ),
    ("DROP DATASOURCE pg", r.DropDatasource("pg")),
    ("TEST DATASOURCE pg", r.TestDatasource("pg")),
    ("SHOW DATASOURCES", r.ShowDatasources()),
    ("SHOW TABLES FROM pg.public", r.ShowRemote("tables", ("pg", "public"))),
    ("SHOW TABLES FROM 'my source'", r.ShowRemote("tables", ("my source",))),
    ("SHOW TABLES FROM 'pg.public'", r.ShowRemote("tables", ("pg", "public"))),
    ("SHOW SCHEMAS FROM pg", r.ShowRemote("schemas", ("pg",))),
    ("DESCRIBE pg.public.users", r.DescribeTable(("pg", "public", "users"))),
    ("SHOW CREATE TABLE pg.public.t FOR mysql", r.ShowCreateTable(("pg", "public", "t"), "mysql")),
    ("QUERY pg AS $$ SELECT 1 $$", r.QueryDatasource("pg", "SELECT 1")),
    (
        "EXECUTE ON pg DRY RUN ROWS BETWEEN 1 AND 2 AS 'DELETE FROM t'",
        r.ExecuteOn("pg", "DELETE FROM t", True, (1, 2)),
    ),
    ("SHOW MIGRATION CAPABILITIES FOR pg", r.ShowCapabilities("pg")),
    ("SHOW TYPE MAPPING FROM postgres TO mysql", r.ShowTypeMapping("postgres", "mysql")),
    ("SUGGEST LAYOUT FOR pg ON (SELECT 1)", r.SuggestLayout("pg", r.Origin(query="SELECT 1"))),
    (
        "SUGGEST LAYOUT FOR doris ON (SELECT 1) FROM pg",
        r.SuggestLayout("doris", r.Origin(query="SELECT 1"), "pg"),
    ),
    ("VALIDATE DDL FOR pg AS $$CREATE TABLE t(a int)$$", r.ValidateDdl("pg", "CREATE TABLE t(a int)")),
    ("TRANSFER users TO pg.public.users", r.Transfer(r.Origin(("users",)), ("pg", "public", "users"))),
    ("TRANSFER schema TO pg.x", r.Transfer(r.Origin(("schema",)), ("pg", "x"))),
    (
        "TRANSFER (SELECT f(1)) FROM m TO local.u ON BRANCH b MODE upsert KEY (a, b) CURSOR c WITH (batch 5)",
        r.Transfer(
            r.Origin(query="SELECT f(1)"),
            ("local", "u"),
            "m",
            "b",
            "upsert",
            ("a", "b"),
            "c",
            (("batch", "5"),),
        ),
    ),
    (
        "TRANSFER t TO pg.t MODE incremental CURSOR c KEY (a)",
        r.Transfer(r.Origin(("t",)), ("pg", "t"), mode="incremental", key=("a",), cursor="c"),
    ),
    (
        "TRANSFER t TO pg.t MODE incremental CURSOR 'C c' KEY ('a', \"B\")",
        r.Transfer(r.Origin(("t",)), ("pg", "t"), mode="incremental", key=("a", "B"), cursor="C c"),
    ),
    (
        "TRANSFER t TO local.t WITH (batch 5) KEY (a) ON BRANCH b MODE upsert",
        r.Transfer(
            r.Origin(("t",)), ("local", "t"), branch="b", mode="upsert", key=("a",), options=(("batch", "5"),)
        ),
    ),
    (
        "TRANSFER SCHEMA s TO local.t WITH (batch 5) ON BRANCH b",
        r.TransferSchema("s", ("local", "t"), branch="b", options=(("batch", "5"),)),
    ),
    (
        "RECONCILE a WITH b TOLERANCE 0.5 CHECKS LIGHT KEY (k)",
        r.Reconcile(r.Origin(("a",)), r.Origin(("b",)), ("k",), ("light",), 0.5),
    ),
    ("TRANSFER SCHEMA s FROM m TO pg", r.TransferSchema("s", ("pg",), "m")),
    (
        "EXPLAIN RECONCILE a WITH pg.b KEY (id) CHECKS LIGHT",
        r.ExplainReconcile(r.Reconcile(r.Origin(("a",)), r.Origin(("pg", "b")), ("id",), ("light",))),
    ),
    ("EXPLAIN TRANSFER t TO pg.t", r.ExplainTransfer(r.Transfer(r.Origin(("t",)), ("pg", "t")))),
    ("RECONCILE a WITH b CHECKS L3", r.Reconcile(r.Origin(("a",)), r.Origin(("b",)), (), ("l3",))),
    ("RECONCILE a WITH b CHECKS LIGHT", r.Reconcile(r.Origin(("a",)), r.Origin(("b",)), (), ("light",))),
    (
        "RECONCILE a WITH b KEY (k) TOLERANCE 1e-9",
        r.Reconcile(r.Origin(("a",)), r.Origin(("b",)), ("k",), ("all",), 1e-9),
    ),
    ("SHOW TRANSFERS", r.ShowTransfers()),
    ("CANCEL TRANSFER 3", r.CancelTransfer(3)),
    ("RESUME TRANSFER 3", r.ResumeTransfer(3)),
]


@pytest.mark.parametrize(("text", "command"), RIGHT, ids=[text for text, _ in RIGHT])
def test_reads(text: str, command: object) -> None:
    assert parse_command(text) == command
    assert type(parse_command(text)) is type(command)


def test_the_examples_reach_every_reader() -> None:
    covered = {text.lower().replace(";", "").split()[0] for text, _ in RIGHT}
    assert {words[0] for words in READERS} <= covered | {"explain"}


@pytest.mark.parametrize(
    "text",
    [
        "",
        ";",
        "SELECT 1",
        "branchless",
        "BRANCHES",
        "SHOW ALL",
        "SHOW TABLES",
        "SHOW branch_ttl",
        "SET branch_ttl = '1h'",
        "SET search_path = branch",
        "CREATE TABLE branch (id int)",
        "CREATE TABLE database (id int)",
        "EXPLAIN SELECT * FROM branch",
        "DESCRIBE t",
        "DESCRIBE s.t",
        "EXECUTE plan(1)",
        "DROP TABLE database",
        "/* without an end",
        "RESET ALL",
        "COMMENT ON TABLE database IS 'x'",
    ],
)
def test_leaves_sql_alone(text: str) -> None:
    assert parse_command(text) is None


WRONG = [
    ("BRANCH", "42601", "syntax error at end of input", 7),
    ("BRANCH FOO", "42601", 'syntax error at or near "FOO"', 8),
    ("BRANCH CREATE", "42601", "syntax error at end of input", 14),
    ("BRANCH CREATE x y", "42601", 'syntax error at or near "y"', 17),
    ("BRANCH CREATE a-b", "42601", 'syntax error at or near "-"', 16),
    ("BRANCH CREATE select", "42601", 'syntax error at or near "select"', 15),
    ("BRANCH CREATE $1", "42601", 'syntax error at or near "$1"', 15),
    ("BRANCH CREATE 'x", "42601", 'unterminated quoted string at or near "\'x"', 15),
    ('BRANCH CREATE "x', "42601", 'unterminated quoted identifier at or near ""x"', 15),
    ("BRANCH CREATE x WITH (color 'red')", "42601", 'unrecognized BRANCH CREATE option "color"', 23),
    ("BRANCH CREATE x WITH (ttl 1h, ttl 2h)", "42601", 'option "ttl" is given twice', 31),
    ("BRANCH CREATE x WITH (ttl 'soon')", "22023", 'bad ttl: "soon" is not a duration', 27),
    ("BRANCH CREATE x WITH (ttl '0s')", "22023", "a ttl must be longer than zero", 27),
    ("BRANCH CREATE x WITH (protected maybe)", "22023", '"maybe" is not a boolean', 33),
    ('BRANCH CREATE ""', "42602", "the branch name is empty", 15),
    ("BRANCH CREATE 'a\u200bb'", "42602", 'the branch name "a\\u200bb" contains an invisible character', 15),
    ("BRANCH CREATE 'a\u202eb'", "42602", 'the branch name "a\\u202eb" contains an invisible character', 15),
    ("BRANCH CREATE E'a\\nb'", "42602", 'the branch name "a\\u000ab" contains a control character', 15),
    ("BRANCH MERGE b STRATEGY ours", "22023", 'unknown merge strategy "ours"', 25),
    ("BRANCH MERGE b CONTINUE now", "42601", 'syntax error at or near "now"', 25),
    ("BRANCH DIFF b WITH (format rows)", "22023", "a diff by rows needs a table", None),
    ("BRANCH DIFF b TABLE a.b.c", "42601", 'syntax error at or near "a"', 21),
    ("BRANCH RESOLVE b USING theirs", "22023", 'unknown resolution "theirs"', 24),
    ("BRANCH REVERT 3", "42601", 'syntax error at or near "3"', 15),
    ("EXPLAIN BRANCH LIST", "42601", 'syntax error at or near "LIST"', 16),
    ("SHADOW QUERY ON a AS SELECT 1", "22023", "a shadow query compares at least two branches", None),
    ("SHADOW QUERY ON a, a AS SELECT 1", "22023", "a shadow query names each branch once", None),
    ("SHADOW QUERY ON a, b", "42601", "syntax error at end of input", 21),
    ("SHADOW QUERY ON a, b AS SELECT 1; SELECT 2", "42601", 'syntax error at or near ";"', 33),
    ("ALTER DATABASE b SET x = 1", "0A000", "ALTER DATABASE can only rename", 18),
    ("CREATE DATABASE b ENCODING 'LATIN1'", "0A000", 'encoding "LATIN1" is not supported', 28),
    ("TRANSFER (SELECT 1 TO pg.t", "42601", "syntax error at end of input", 27),
    ("TRANSFER t TO pg.t MODE merge", "22023", 'unknown mode "merge"', 25),
    ("EXECUTE ON pg ROWS BETWEEN 2 AND 1 AS 'x'", "22023", "ROWS BETWEEN 2 AND 1 is an empty range", 28),
    ("BRANCH DIFF b TABLE 'a b'", "42602", '"a b" is not a table name', 21),
    ("BRANCH DIFF b TABLE ''", "42602", '"" is not a table name', 21),
    ("BRANCH DIFF b TABLE a.1", "42601", 'syntax error at or near ".1"', 22),
    ("BRANCH MERGE b STRATEGY 3", "42601", 'syntax error at or near "3"', 25),
    ("BRANCH MERGE b IF TOKEN x", "42601", 'syntax error at or near "x"', 25),
    ("BRANCH RESOLVE b USING 3", "42601", 'syntax error at or near "3"', 24),
    ("BRANCH DIFF b WITH (limit -1)", "22023", '"-1" is not a whole number', 27),
    ("BRANCH DIFF b WITH (limit ()", "42601", 'syntax error at or near "("', 27),
    ("BRANCH DIFF b WITH (3)", "42601", 'syntax error at or near "3"', 21),
    ("BRANCH DIFF b WITH (limit 1", "42601", "syntax error at end of input", 28),
    ("SHADOW QUERY ON a, b AS WITH (runs 2)", "42601", 'syntax error at or near "WITH"', 25),
    ("SHADOW QUERY ON a, b AS SELECT 1 WITH (runs 0)", "22023", "runs must be between 1 and 1000", 45),
    ("SHADOW QUERY ON a, b AS SELECT 1 WITH (tolerance x)", "22023", '"x" is not a tolerance', 50),
    ("SHADOW QUERY ON a, b AS '' ", "22023", "the query is empty", None),
    ("BRANCH CREATE E'x", "42601", 'unterminated quoted string at or near "E\'x"', 15),
    ("BRANCH CREATE E'\\ud800'", "22025", "invalid escape \\ud800 in a string", 15),
    ("BRANCH CREATE $$x", "42601", 'unterminated dollar-quoted string at or near "$$x"', 15),
    ("BRANCH CREATE $", "42601", 'syntax error at or near "$"', 15),
    ("CREATE DATABASE b 3", "42601", 'syntax error at or near "3"', 19),
    ("CREATE DATABASE b COLOR red", "42601", 'syntax error at or near "COLOR"', 19),
    ("SUGGEST LAYOUT FOR pg ON ()", "42601", 'syntax error at or near "("', 26),
    ("TRANSFER t TO pg.t KEY (a) MODE upsert KEY (b)", "42601", 'syntax error at or near "KEY"', 40),
    ("TRANSFER (SELECT 1; DELETE FROM t) TO pg.t", "42601", 'syntax error at or near ";"', 19),
    ("QUERY pg AS ' '", "42601", "syntax error at or near \"' '\"", 13),
    ("QUERY pg AS SELECT 1", "42601", 'syntax error at or near "SELECT"', 13),
    ("RECONCILE a WITH b TOLERANCE 'x'", "42601", "syntax error at or near \"'x'\"", 30),
    ("RECONCILE a WITH b TOLERANCE x", "42601", 'syntax error at or near "x"', 30),
    ("RECONCILE a WITH b KEY (3)", "42601", 'syntax error at or near "3"', 25),
    ("RECONCILE a WITH b CHECKS L9", "42601", 'syntax error at or near "L9"', 27),
    (
        "CREATE DATASOURCE p TYPE postgres OPTIONS (host 'a', host 'b')",
        "42601",
        'option "host" is given twice',
        54,
    ),
    ("SHOW TRANSFERS now", "42601", 'syntax error at or near "now"', 16),
    ("CANCEL TRANSFER x", "42601", 'syntax error at or near "x"', 17),
]


@pytest.mark.parametrize(("text", "state", "message", "position"), WRONG, ids=[row[0] for row in WRONG])
def test_refuses(text: str, state: str, message: str, position: int | None) -> None:
    with pytest.raises(BoughError) as caught:
        parse_command(text)
    assert (caught.value.sqlstate, caught.value.message) == (state, message)
    assert caught.value.position == position
    if not message.startswith(
        ("unterminated", "a shadow query names", "invalid escape", "runs must", '"-1"')
    ):
        assert caught.value.hint


def test_a_comment_is_too_long() -> None:
    with pytest.raises(BoughError) as caught:
        parse_command(f"BRANCH CREATE b WITH (comment '{'x' * 5000}')")
    assert caught.value.sqlstate == "22023"


def test_an_error_repeats_little_of_a_huge_text() -> None:
    with pytest.raises(BoughError) as caught:
        parse_command(f"BRANCH LIST '{'x' * 10**6}'")
    assert len(caught.value.message) < 300


def test_a_long_name_is_refused_and_not_cut() -> None:
    assert parse_command(f"BRANCH CREATE {'é' * 31}") == b.CreateBranch("é" * 31)
    with pytest.raises(BoughError) as caught:
        parse_command(f"BRANCH CREATE {'é' * 32}")
    assert (caught.value.sqlstate, caught.value.detail) == ("42602", "It has 64 bytes.")


def test_a_password_is_not_shown() -> None:
    command = parse_command("CREATE DATASOURCE pg TYPE postgres OPTIONS (password 'secret')")
    assert "secret" not in repr(command)


def test_query_offset_points_into_the_text() -> None:
    text = "SHADOW QUERY ON a, b AS  SELECT oops"
    command = parse_command(text)
    assert isinstance(command, b.ShadowQuery)
    assert text[command.query_offset :].startswith(command.query)
