"""The server's settings: sources and their order, units, and errors a person can act on."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proxy.settings import SETTINGS, SettingsError, load
from proxy.units import format_duration, format_size, parse_duration, parse_size


def test_defaults_are_valid_and_known_by_attribute() -> None:
    settings = load()
    assert (settings.host, settings.port, settings.dev_mode) == ("127.0.0.1", 5439, True)
    assert settings.branch_ttl == timedelta(hours=24)
    assert settings.max_statement_bytes == 1024**2
    assert settings.database_aliases == ("hatidata", "iceberg_catalog", "default")
    assert {source for _, _, source, _, _ in settings.rows()} == {"default"}
    with pytest.raises(AttributeError):
        _ = settings.nothing


def test_a_flag_beats_a_variable_beats_the_file(tmp_path: Path) -> None:
    config = tmp_path / "bough.toml"
    config.write_text('port = 1\nhost = "a"\nlog = "json"\ndev_mode = false\nfile_directories = ["/a", "/b"]')
    environment = {"BOUGH_PORT": "2", "BOUGH_HOST": "b", "PATH": "/bin"}
    settings = load({"port": "3"}, environment, config)
    assert (settings.port, settings.host, settings.log, settings.dev_mode) == (3, "b", "json", False)
    assert settings.file_directories == ("/a", "/b")
    assert settings.sources["port"] == "command line"
    assert settings.sources["host"] == "BOUGH_HOST"
    assert settings.sources["log"] == str(config)


@pytest.mark.parametrize(
    ("variable", "name"),
    [
        ("BRANCH_ISOLATION_ENABLED", "branch_isolation_enabled"),
        ("HATIDATA_SHADOW_MODE_ENABLED", "shadow_mode_enabled"),
        ("HATIDATA_DEV_MODE", "dev_mode"),
    ],
)
def test_hatidatas_variables(variable: str, name: str) -> None:
    assert getattr(load(environment={variable: "false"}), name) is False
    assert getattr(load(environment={variable: "false", "BOUGH_" + name.upper(): "true"}), name) is True


@pytest.mark.parametrize(
    ("name", "value", "part"),
    [
        ("port", "65536", "not between 0 and 65535"),
        ("port", "x", "not a whole number"),
        ("log", "xml", "not one of text, json"),
        ("branch_ttl", "soon", "not a duration"),
        ("branch_ttl", "3 parsecs", 'unknown unit "parsecs"'),
        ("max_frame_bytes", "many", "not a size"),
        ("dev_mode", "maybe", "not true or false"),
        ("memory_limit", "101%", "not a size"),
        ("shadow_sample_rate", "2", "not between 0 and 1"),
    ],
)
def test_a_wrong_value_names_the_setting_and_its_source(name: str, value: str, part: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load({name: value})
    assert caught.value.message.startswith(f"{name}: ")
    assert part in caught.value.message
    assert caught.value.message.endswith("(from command line)")
    assert "\n" not in caught.value.message


def test_a_misspelt_section_of_datasources_is_told_of_the_right_one(tmp_path: Path) -> None:
    file = tmp_path / "bough.toml"
    file.write_text('[datasource.pg]\ntype = "postgres"\npassword = "hidden word"\n')
    with pytest.raises(SettingsError) as caught:
        load({}, {}, file)
    assert caught.value.hint == "Did you mean [datasources.name]?"
    assert "hidden word" not in str(caught.value)


def test_unknown_names_get_the_nearest(tmp_path: Path) -> None:
    for load_it in (
        lambda: load({"prot": "1"}),
        lambda: load(environment={"BOUGH_PROT": "1"}),
        lambda: load(config=_toml(tmp_path, "prot = 1")),
    ):
        with pytest.raises(SettingsError) as caught:
            load_it()
        assert "did you mean" in (caught.value.hint or "").lower()


@pytest.mark.parametrize("text", ["port = ", "port = {a = 1}", "\x00"])
def test_a_broken_file_is_one_line(tmp_path: Path, text: str) -> None:
    with pytest.raises(SettingsError) as caught:
        load(config=_toml(tmp_path, text))
    assert "bough.toml" in caught.value.message
    with pytest.raises(SettingsError):
        load(config=tmp_path / "missing.toml")


def test_every_setting_reads_what_it_shows() -> None:
    settings = load()
    for setting in SETTINGS:
        value = settings.values[setting.name]
        assert setting.parse(setting.show(value)) == value


def _toml(folder: Path, text: str) -> Path:
    path = folder / "bough.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("24h", 86400),
        ("30m", 1800),
        ("5min", 300),
        ("7d", 604800),
        ("1 day", 86400),
        ("1h30m", 5400),
        ("1 day 12 hours", 129600),
        ("90", 90),
        ("300ms", 0.3),
        ("01:30:00", 5400),
        ("0", 0),
        ("1.5h", 5400),
    ],
)
def test_durations(text: str, seconds: float) -> None:
    assert parse_duration(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", " ", "h", "-1h", "1h-", "10000000000d", "1e9h", "9" * 200])
def test_not_durations(text: str) -> None:
    with pytest.raises(ValueError, match=r"duration|longer"):
        parse_duration(text)


@given(st.timedeltas(timedelta(0), timedelta(days=3650)))
def test_durations_read_as_they_are_written(value: timedelta) -> None:
    assert parse_duration(format_duration(value)) == value


@given(st.integers(0, 2**52))
def test_sizes_read_as_they_are_written(value: int) -> None:
    assert parse_size(format_size(value)) == value
