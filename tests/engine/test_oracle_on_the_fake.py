"""The branch oracle on the fake engine: what holds for DuckDB's branches holds for those of another engine.

The model stays plain copies in DuckDB. The statements are those that both have: no MERGE, no lists and decimals, and
nothing in which the two engines differ by themselves (``Oracle``, where it asks for the engine's name).
"""

from __future__ import annotations

import sys
from pathlib import Path
from random import Random

import pytest
from effort import seeds

from branching.engine.fake import FakeEngine

sys.path.append(str(Path(__file__).parents[1] / "branching"))

from branch_oracle import Oracle

TYPES = ("INTEGER", "VARCHAR", "TIMESTAMP")


@pytest.mark.parametrize("seed", seeds(2))
def test_histories_from_seeds(tmp_path: Path, seed: int) -> None:
    oracle = Oracle(tmp_path, retention=3600 * seed, engine=FakeEngine(), types=TYPES)
    random = Random(seed)
    try:
        for _ in range(40):
            oracle.step(random)
        oracle.compare_all()
    except BaseException as error:
        error.add_note(f"seed {seed}, step {oracle.steps}:\n" + "\n".join(oracle.log))
        raise
    finally:
        oracle.close()
