"""Every branch reads as its plain copy does, whatever is done in whatever order."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from random import Random

import pytest
from branch_oracle_merges import MergingOracle as Oracle
from effort import examples, seeds
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

_CHECKS = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much]
_PHASES = (Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink)


class Machine(RuleBasedStateMachine):
    """Hypothesis picks the steps and every choice inside them, so a failure shrinks to few steps."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = tempfile.TemporaryDirectory()
        self.oracle = Oracle(Path(self.directory.name), retention=3600)

    @rule(random=st.randoms(use_true_random=False))
    def step(self, random: Random) -> None:
        self.oracle.step(random)

    @invariant()
    def main_reads_alike(self) -> None:
        self.oracle.compare("main")

    def teardown(self) -> None:
        self.oracle.close()
        self.directory.cleanup()


def test_short_histories() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=examples(4),
            stateful_step_count=15,
            deadline=None,
            suppress_health_check=_CHECKS,
            phases=_PHASES,
            derandomize=True,
            database=None,
        ),
    )


@contextmanager
def _oracle(directory: Path, seed: int) -> Iterator[tuple[Oracle, Random]]:
    oracle = Oracle(directory, retention=3600 if seed % 2 else 0)
    try:
        yield oracle, Random(seed)
    except BaseException as error:
        error.add_note(f"seed {seed}, step {oracle.steps}:\n" + "\n".join(oracle.log))
        raise
    finally:
        oracle.close()


@pytest.mark.parametrize("seed", seeds(4))
def test_histories_from_seeds(tmp_path: Path, seed: int) -> None:
    with _oracle(tmp_path, seed) as (oracle, random):
        for _ in range(50):
            oracle.step(random)
        oracle.compare_all()


@pytest.mark.slow
def test_long_histories(tmp_path: Path) -> None:
    """Two minutes, or as many seconds as BOUGH_ORACLE_SECONDS says."""
    end = time.monotonic() + float(os.environ.get("BOUGH_ORACLE_SECONDS", "120"))
    seed = int(os.environ.get("BOUGH_ORACLE_SEED", "1000"))
    while time.monotonic() < end:
        directory = tmp_path / str(seed)
        directory.mkdir()
        with _oracle(directory, seed) as (oracle, random):
            for _ in range(150):
                oracle.step(random)
                if time.monotonic() > end:
                    break
        seed += 1
