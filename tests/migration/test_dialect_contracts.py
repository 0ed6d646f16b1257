"""The contracts are consistent with their own rules."""

from __future__ import annotations

import dataclasses
import re
from pathlib import Path

import pytest

from migration.ddl.validation import validate
from migration.dialects import CONTRACTS, DialectContract, capabilities, capability_rows, contract
from migration.dialects.base import version_number

SEED = "starrocks greenplum postgres mysql clickhouse trino snowflake redshift duckdb sqlite generic".split()  # noqa: SIM905
MORE = ["doris", "bigquery", "spark", "hive"]
DATUS_KEYS = {"supported", "dialect_family", "requires", "forbids", "type_hints", "example_ddl"}
ids = [item.name for item in CONTRACTS]


@pytest.mark.parametrize("name", [*SEED, *MORE])
def test_every_dialect_has_a_contract(name: str) -> None:
    found = capabilities(name)
    assert found["supported"] is True
    assert found.keys() >= DATUS_KEYS
    assert "warning" not in found


@pytest.mark.parametrize("item", CONTRACTS, ids=ids)
def test_the_example_passes_its_own_rules(item: DialectContract) -> None:
    assert [found for found in validate(item.example_ddl, item.name) if found.severity == "error"] == []


@pytest.mark.parametrize("item", CONTRACTS, ids=ids)
def test_a_contract_is_frozen(item: DialectContract) -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        item.name = "x"  # type: ignore[misc]


def test_names_and_aliases_are_unique() -> None:
    names = [name for item in CONTRACTS for name in (item.name, *item.aliases)]
    assert len(names) == len(set(names))


def test_an_unknown_dialect_has_generic_rules_and_says_so() -> None:
    found = capabilities("frobnicate")
    assert found["supported"] is False
    assert "frobnicate" in found["warning"]
    assert found["dialect_family"] == "generic"
    assert contract("frobnicate").supported is False
    assert validate("CREATE TABLE t (id BIGINT)", "frobnicate") == []


@pytest.mark.parametrize(
    ("alias", "name"),
    [("PostgreSQL", "postgres"), ("mariadb", "mysql"), ("gp", "greenplum"), ("databricks", "spark")],
)
def test_aliases(alias: str, name: str) -> None:
    assert contract(alias).name == name


def test_capabilities_follow_the_version() -> None:
    old, new = capabilities("starrocks", "2.5"), capabilities("starrocks", "3.2")
    assert any("BUCKETS" in text for text in old["requires"])
    assert any(text == "AUTO_INCREMENT" for text in old["forbids"])
    assert not any(text == "AUTO_INCREMENT" for text in new["forbids"])


def test_no_example_uses_one_replica() -> None:
    assert not any("replication_num" in item.example_ddl for item in CONTRACTS)


def test_hints_name_the_39_digits_of_a_128_bit_integer() -> None:
    assert capabilities("mysql")["type_hints"]["int128"].startswith("DECIMAL(39,0)")
    assert capabilities("postgres")["type_hints"]["int128"].startswith("numeric(39,0)")


def test_version_numbers() -> None:
    assert version_number("3.1.4-rc1") == (3, 1, 4)
    assert version_number("26.9") > version_number("8.0.41")


def test_rows_say_the_same_as_the_dictionary() -> None:
    rows = capability_rows("starrocks", "2.5")
    assert [detail for kind, _, detail, _ in rows if kind == "forbids"] == capabilities("starrocks", "2.5")[
        "forbids"
    ]
    assert capability_rows("frobnicate")[0][0] == "warning"


ROOT = Path(__file__).parents[2]


def test_the_page_names_every_dialect_and_every_rule() -> None:
    page = (ROOT / "docs/dialects.md").read_text(encoding="utf-8")
    for item in CONTRACTS:
        assert f"| `{item.name}` |" in page
    sources = [ROOT / "migration/ddl/validation.py", *(ROOT / "migration/ddl_rules").glob("*.py")]
    for path in sources:
        for rule in re.findall(r'(?:error|warning|make)\(\s*"([a-z_.]+)"', path.read_text(encoding="utf-8")):
            assert f"`{rule}`" in page, rule
