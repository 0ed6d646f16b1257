"""Rules for every test run.

Where an engine (PostgreSQL, MariaDB, …) is missing, its tests are skipped on a developer's machine. Under
``CI=true`` that is a failure: a check that quietly did not happen is worth nothing.

Property tests have no deadline, because a busy machine is no bug; under ``CI=true`` they are the same
each time.
"""

from __future__ import annotations

import os
from collections.abc import Generator

import pytest
from hypothesis import HealthCheck, settings

CI = os.environ.get("CI") == "true"
settings.register_profile(
    "bough", deadline=None, derandomize=CI, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("bough")
ENGINES = ("postgres", "mariadb", "clickhouse", "snowflake", "spark", "docker")


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
