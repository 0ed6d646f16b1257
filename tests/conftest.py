"""Rules for every test run.

Where an engine (PostgreSQL, MariaDB, …) is missing, its tests are skipped on a developer's machine. Under
``CI=true`` that is a failure: a check that quietly did not happen is worth nothing.

Property tests have no deadline, because a busy machine is no bug; under ``CI=true`` they are the same
each time.

Of tests marked ``once_each`` the quick suite runs as many combinations as it needs to have every test, and every value
of every parameter of it, once; it takes the values of a fixture (main, a branch) in turn. ``make test-all`` and CI run
every combination.

A test that fails is named at once: a run that is cut off has no summary.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import psycopg
import pytest
from effort import enough, examples
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI") == "true"
settings.register_profile(
    "bough",
    max_examples=examples(100),
    deadline=None,
    derandomize=CI,
    print_blob=True,
    suppress_health_check=[HealthCheck.too_slow],
)
settings.load_profile("bough")
ENGINES = ("postgres", "mariadb", "clickhouse", "snowflake", "spark", "docker")


if sys.dont_write_bytecode and sys.pycache_prefix is None:
    # As in many containers: nothing beside the sources. But each process of a run, and each program that a test starts,
    # would compile all of Bough and of the tests anew, so what is compiled is kept where pytest keeps its own.
    sys.dont_write_bytecode, sys.pycache_prefix = (
        False,
        str(Path(__file__).parents[1] / ".pytest_cache" / "bytecode"),
    )
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    os.environ["PYTHONPYCACHEPREFIX"] = sys.pycache_prefix


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    modules: dict[Path, list[pytest.Item]] = {}
    sampled: set[Path] = set()
    for item in items:
        if item.get_closest_marker("sampled") and not item.get_closest_marker("slow"):
            if item.path in sampled:
                item.add_marker("slow")
            sampled.add(item.path)
            continue
        if item.get_closest_marker("once_each") and not item.get_closest_marker("slow"):
            modules.setdefault(item.path, []).append(item)
    for tests in modules.values():
        quick = enough([_values(item) for item in tests])
        for number, item in enumerate(tests):
            if number not in quick:
                item.add_marker("slow")


def _values(item: pytest.Item) -> frozenset[object]:
    """A test and what its parameters have. Those of a fixture are the same for all tests of the module."""
    test = item.nodeid.split("[")[0]
    given = (
        {name: id(value) for name, value in item.callspec.params.items()} if hasattr(item, "callspec") else {}
    )
    found: set[object] = {test}
    for mark in item.iter_markers("parametrize"):
        names = mark.args[0].split(",") if isinstance(mark.args[0], str) else mark.args[0]
        found.add((test, *((name.strip(), given.pop(name.strip())) for name in names)))
    return frozenset(found | set(given.items()))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    needed = [name for name in ENGINES if item.get_closest_marker(name)]
    if report.skipped and needed and not hasattr(report, "wasxfail") and CI:
        report.outcome = "failed"
        report.longrepr = (
            f"{', '.join(needed)} is needed under CI=true, but the test was skipped: {report.longrepr}"
        )
    return report


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    if report.failed and "PYTEST_XDIST_WORKER" not in os.environ:
        reason = getattr(getattr(report.longrepr, "reprcrash", None), "message", report.longrepr)
        print(f"\n{report.when} of {report.nodeid} failed: {str(reason)[:500]}", file=sys.stderr, flush=True)


def _binaries() -> Path | None:
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    if found:
        return found[-1].parent
    on_path = shutil.which("postgres")
    return Path(on_path).parent if on_path else None


@pytest.fixture(scope="session")
def postgres() -> Iterator[psycopg.Connection]:
    """A connection to a PostgreSQL that lives for this test run, on a socket in a directory of its own."""
    binaries = _binaries()
    if binaries is None:
        if os.environ.get("CI") == "true":
            pytest.fail("CI needs a PostgreSQL server binary")
        pytest.skip("no PostgreSQL server binary")
    as_postgres = ["runuser", "-u", "postgres", "--"] if os.geteuid() == 0 else []
    directory = Path(tempfile.mkdtemp(prefix="bough-pg-", dir="/tmp"))
    if as_postgres:
        shutil.chown(directory, "postgres")
    data = directory / "data"

    def run(*command: str) -> None:
        subprocess.run([*as_postgres, *command], check=True, capture_output=True, cwd=directory, timeout=120)

    options = f"-c listen_addresses= -c unix_socket_directories={directory} -c fsync=off -c TimeZone=UTC"
    try:
        run(
            str(binaries / "initdb"),
            "-D",
            str(data),
            "-U",
            "postgres",
            "-A",
            "trust",
            "-E",
            "UTF8",
            "--locale=C",
            "-N",
        )
        run(
            str(binaries / "pg_ctl"),
            "-D",
            str(data),
            "-w",
            "-o",
            options,
            "-l",
            str(directory / "log"),
            "start",
        )
        with psycopg.connect(
            host=str(directory), user="postgres", dbname="postgres", autocommit=True
        ) as connection:
            yield connection
        run(str(binaries / "pg_ctl"), "-D", str(data), "-w", "-m", "immediate", "stop")
    finally:
        shutil.rmtree(directory, ignore_errors=True)
