"""A session's settings behave as Postgres' do, and go back to what the session started with."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from branching.errors import BoughError
from proxy.gucs import GUCS, check_value
from proxy.session_settings import SessionSettings, parse_startup_options
from proxy.settings import SETTINGS, load


def test_defaults_are_in_the_form_show_gives() -> None:
    for guc in GUCS:
        assert check_value(guc, guc.default) == guc.default


def test_names_ignore_case_and_keep_postgres_spelling() -> None:
    session = SessionSettings()
    session.set("datestyle", "iso, dmy")
    assert session.show("DATESTYLE") == ("DateStyle", "ISO, DMY")
    assert session.show("timezone") == ("TimeZone", "UTC")


def test_set_is_undone_by_rollback_and_kept_by_commit() -> None:
    session = SessionSettings()
    session.begin()
    session.set("work_mem", "1MB")
    session.rollback()
    assert session.get("work_mem") == "4MB"
    session.begin()
    session.set("work_mem", "1MB")
    session.commit()
    assert session.get("work_mem") == "1MB"


def test_set_local_ends_with_the_transaction() -> None:
    session = SessionSettings()
    session.set("work_mem", "9MB", local=True)
    assert session.get("work_mem") == "4MB"  # outside a transaction it does nothing
    session.begin()
    session.set("work_mem", "1MB")
    session.set("work_mem", "2MB", local=True)
    assert session.get("work_mem") == "2MB"
    session.commit()
    assert session.get("work_mem") == "1MB"
    session.begin()
    session.set("work_mem", "5MB", local=True)
    session.set("work_mem", "6MB")
    assert session.get("work_mem") == "6MB"
    session.commit()
    assert session.get("work_mem") == "6MB"


@pytest.mark.parametrize(
    "statements",
    [
        # what drivers and tools set as they connect
        {"client_min_messages": "warning", "standard_conforming_strings": "on", "intervalstyle": "iso_8601"},
        {"extra_float_digits": "3", "application_name": "PostgreSQL JDBC Driver", "TimeZone": "Europe/Paris"},
        {"DateStyle": "ISO", "client_encoding": "utf-8", "jit": "off", "enable_seqscan": "off"},
        {"statement_timeout": "0", "lock_timeout": "0", "row_security": "off", "xmloption": "content"},
        {"check_function_bodies": "false", "synchronize_seqscans": "off", "default_tablespace": ""},
        {"search_path": "branch_0123456789ab,main", "hatidata_request_id": "", "transaction_timeout": "0"},
    ],
)
def test_what_drivers_set(statements: dict[str, str]) -> None:
    session = SessionSettings()
    for name, value in statements.items():
        session.set(name, value)
        assert session.show(name)


def test_savepoints() -> None:
    session = SessionSettings()
    session.begin()
    session.savepoint("a")
    session.set("work_mem", "1MB")
    session.savepoint("b")
    session.set("work_mem", "2MB")
    session.rollback_to("b")
    assert session.get("work_mem") == "1MB"
    session.release("b")
    session.rollback_to("a")
    assert session.get("work_mem") == "4MB"
    with pytest.raises(BoughError) as caught:
        session.rollback_to("b")
    assert caught.value.sqlstate == "3B001"


def test_reset_goes_back_to_the_start_of_the_session() -> None:
    session = SessionSettings(
        {"work_mem": "7MB", "hatidata_agent_id": "x"}, defaults={"statement_timeout": "5s"}
    )
    session.set("work_mem", "1MB")
    session.set("statement_timeout", "100")
    session.set("hatidata_agent_id", "y")
    session.set("app.tenant", "z")
    session.reset("work_mem")
    assert session.get("work_mem") == "7MB"
    assert session.get("statement_timeout") == "100ms"
    session.reset_all()
    assert session.get("statement_timeout") == "5s"
    assert session.get("hatidata_agent_id") == "x"
    assert session.get("app.tenant") is None


@pytest.mark.parametrize(
    "name", ["hatidata_agent_id", "hatidata.environment", "bough.write_wait", "app.x.y", "höhe.x"]
)
def test_custom_names(name: str) -> None:
    session = SessionSettings()
    with pytest.raises(BoughError):
        session.show(name)
    session.set(name, "v")
    assert session.show(name) == (name, "v")


@pytest.mark.parametrize(
    ("name", "value", "state"),
    [
        ("nonsense", "1", "42704"),
        ("", "1", "42704"),
        (".", "1", "42704"),
        ("a.", "1", "42704"),
        ("a.b; DROP TABLE x", "1", "42704"),
        ("DateStyle", "german", "22023"),
        ("TimeZone", "Mars/Base", "22023"),
        ("TimeZone", "../../etc/passwd", "22023"),
        ("client_encoding", "latin1", "22023"),
        ("statement_timeout", "soon", "22023"),
        ("extra_float_digits", "9", "22023"),
        ("standard_conforming_strings", "off", "22023"),
        ("application_name", "x" * 70000, "22023"),
        ("server_version", "99", "55P02"),
        ("branch", "x\x00", "55P02"),
    ],
)
def test_refused(name: str, value: str, state: str) -> None:
    session = SessionSettings()
    with pytest.raises(BoughError) as caught:
        session.set(name, value)
    assert caught.value.sqlstate == state
    with pytest.raises(BoughError):
        SessionSettings({name: value})


@pytest.mark.parametrize(
    ("name", "value", "shown"),
    [
        ("client_encoding", "'utf-8'", "UTF8"),
        ("client_encoding", "UNICODE", "UTF8"),
        ("DateStyle", "ISO", "ISO, MDY"),
        ("DateStyle", "dmy", "ISO, DMY"),
        ("TimeZone", "Europe/Berlin", "Europe/Berlin"),
        ("TimeZone", "utc", "UTC"),
        ("TimeZone", "+02", "Etc/GMT-2"),
        ("TimeZone", "+02:00", "Etc/GMT+2"),
        ("TimeZone", "UTC-3", "Etc/GMT-3"),
        ("TimeZone", "<-05>+05", "Etc/GMT+5"),
        ("TimeZone", "europe/berlin", "Europe/Berlin"),
        ("statement_timeout", "60000", "1min"),
        ("statement_timeout", "1500", "1500ms"),
        ("statement_timeout", "0", "0"),
        ("jit", "TRUE", "on"),
        ("default_transaction_isolation", "READ  COMMITTED", "read committed"),
        ("application_name", "a\nb\x1b", "a?b?"),
    ],
)
def test_values_are_shown_in_one_form(name: str, value: str, shown: str) -> None:
    assert SessionSettings().set(name, value) == shown


def test_the_client_is_told_what_changed() -> None:
    session = SessionSettings({"application_name": "psql"})
    first = dict(session.changes())
    assert first["application_name"] == "psql"
    assert {"server_version", "client_encoding", "DateStyle", "TimeZone", "integer_datetimes"} <= set(first)
    assert session.changes() == []
    session.begin()
    session.set("TimeZone", "Europe/Berlin")
    assert session.changes() == [("TimeZone", "Europe/Berlin")]
    session.rollback()
    assert session.changes() == [("TimeZone", "UTC")]


def test_moving_to_a_branch_is_not_undone() -> None:
    session = SessionSettings({"branch": "a"})
    session.changes()
    session.begin()
    session.savepoint("s")
    session.assign("branch", "l", local=True)
    assert session.get("branch") == "l"
    session.assign("branch", "b")
    session.rollback_to("s")
    assert session.get("branch") == "b"
    session.rollback()
    assert session.get("branch") == "b"
    assert session.changes() == [("branch", "b")]
    session.reset_all()
    assert session.get("branch") == "a"
    session.begin()
    session.assign("branch", "c", local=True)
    session.commit()
    assert session.get("branch") == "a"
    for change in (session.reset, lambda name: session.set(name, "b")):
        with pytest.raises(BoughError) as caught:
            change("branch")
        assert "BRANCH SWITCH" in (caught.value.hint or "")


def test_the_servers_settings_are_shown_and_not_set() -> None:
    server = load({"branch_ttl": "7d", "statement_timeout": "9s"})
    session = SessionSettings(server=server)
    assert session.show("BRANCH_TTL") == ("branch_ttl", "7d")
    assert session.show("statement_timeout") == ("statement_timeout", "9s")
    assert {setting.name for setting in SETTINGS} <= {row[0] for row in session.rows()}
    for change in (session.reset, lambda name: session.set(name, "1h")):
        with pytest.raises(BoughError) as caught:
            change("branch_ttl")
        assert caught.value.sqlstate == "55P02"
    with pytest.raises(BoughError):
        SessionSettings({"branch_ttl": "1h"}, server=server)
    session.set("statement_timeout", "1s")
    session.reset("statement_timeout")
    assert session.get("statement_timeout") == "9s"


def test_a_session_cannot_hoard_names() -> None:
    session = SessionSettings()
    with pytest.raises(BoughError) as caught:
        for number in range(2000):
            session.set(f"a.x{number}", "1")
    assert caught.value.sqlstate == "54000"


def test_show_all_is_sorted_and_described() -> None:
    rows = list(SessionSettings({"a.b": "c"}).rows())
    assert [row[0].lower() for row in rows] == sorted(row[0].lower() for row in rows)
    assert ("a.b", "c") in {row[:2] for row in rows}
    assert all(row[2] for row in rows)


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ("", {}),
        ("-c a=b -c c.d=e", {"a": "b", "c.d": "e"}),
        ("-ca=b --c-d=e", {"a": "b", "c_d": "e"}),
        (r"-c a=x\ y\\z", {"a": "x y\\z"}),
        ("-c hatidata_agent_id=my agent x -c b=c", {"hatidata_agent_id": "my", "b": "c"}),
        ("-c a= -c", {"a": ""}),
        ("-c a=b=c", {"a": "b=c"}),
        ("-c nothing stray -d 5", {}),
        ("-c a=1 -c a=2", {"a": "2"}),
    ],
)
def test_startup_options(options: str, found: dict[str, str]) -> None:
    assert parse_startup_options(options) == found


@pytest.mark.parametrize(
    "options", ["-c=", "-c =x", "--=x", "-c a=b " * 2000, " ".join(f"-c a{n}=b" for n in range(500))]
)
def test_startup_options_are_bounded(options: str) -> None:
    with pytest.raises(BoughError) as caught:
        parse_startup_options(options)
    assert caught.value.sqlstate == "22023"


@given(st.text())
def test_any_startup_options_end(options: str) -> None:
    try:
        parse_startup_options(options)
    except BoughError as error:
        assert error.sqlstate == "22023"


@given(st.text(max_size=20), st.text(max_size=20))
def test_any_name_and_value_is_set_or_refused(name: str, value: str) -> None:
    try:
        SessionSettings().set(name, value)
    except BoughError as error:
        assert error.sqlstate in ("42704", "22023", "55P02")


@given(st.dictionaries(st.from_regex(r"[a-z_]{1,9}\.[a-z]{1,5}", fullmatch=True), st.text(max_size=9)))
def test_escaped_options_come_back(values: dict[str, str]) -> None:
    def escape(text: str) -> str:
        return "".join(
            "\\" + character if character.isspace() or character == "\\" else character for character in text
        )

    assert (
        parse_startup_options(" ".join(f"-c {name}={escape(value)}" for name, value in values.items()))
        == values
    )
