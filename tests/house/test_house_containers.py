"""The container files fit together, as far as that can be seen without a container engine."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from proxy.cli.main import _parser
from proxy.settings import BY_NAME, SETTINGS

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((ROOT / "docker-compose.yml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def dockerfile() -> str:
    return (ROOT / "Dockerfile").read_text(encoding="utf-8")


def test_compose_has_the_server_a_target_and_the_demo(compose: dict[str, Any]) -> None:
    services = compose["services"]
    assert set(services) == {"bough", "postgres", "demo"}
    for name, service in services.items():
        assert ("build" in service) != ("image" in service), name
        for needed in service.get("depends_on", {}):
            assert needed in services
    named = {
        volume.partition(":")[0] for service in services.values() for volume in service.get("volumes", [])
    }
    assert named == set(compose["volumes"])


def test_compose_sets_variables_that_exist(compose: dict[str, Any]) -> None:
    known = {name for setting in SETTINGS for name in (setting.variable, *setting.aliases)}
    assert set(compose["services"]["bough"]["environment"]) <= known


def test_the_port_is_the_same_everywhere(compose: dict[str, Any], dockerfile: str) -> None:
    port = BY_NAME["port"].default
    assert re.findall(r"^EXPOSE (\d+)$", dockerfile, re.MULTILINE) == [port]
    assert compose["services"]["bough"]["ports"] == [f"127.0.0.1:{port}:{port}"]
    assert f"'127.0.0.1', {port}" in dockerfile


def test_the_image_runs_as_a_user_and_keeps_its_data(dockerfile: str) -> None:
    users = re.findall(r"^USER (\w+)$", dockerfile, re.MULTILINE)
    assert users == ["bough"]
    assert re.findall(r"^VOLUME (\S+)$", dockerfile, re.MULTILINE) == ["/data"]
    for variable in re.findall(r"\b(BOUGH_\w+)=", dockerfile):
        assert variable in {setting.variable for setting in SETTINGS}


def test_the_image_gets_every_package(dockerfile: str) -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").split()
    copied = set(re.findall(r"^COPY (?!--)(.+) \S+$", dockerfile, re.MULTILINE))
    for name in ("proxy", "branching", "migration"):
        assert name in copied
        assert f"!{name}" in ignored


def test_commands_in_containers_are_real(compose: dict[str, Any], dockerfile: str) -> None:
    command = re.findall(r'^CMD \["(.+)"\]$', dockerfile, re.MULTILINE)[-1].split('", "')
    for arguments in (command, compose["services"]["demo"]["command"]):
        _parser().parse_args(arguments)
