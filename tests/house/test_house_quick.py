"""What the quick suite leaves to ``make test-all`` is no test and no value of a parameter, only combinations."""

from __future__ import annotations

from itertools import product

from effort import enough, seeds


def test_every_value_is_in_what_is_enough_and_nothing_twice_without_need() -> None:
    writes = [frozenset({("first", a), ("more", b)}) for a, b in product(range(6), range(6))]
    chosen = enough(writes)
    assert len(chosen) == 6
    assert frozenset().union(*(writes[at] for at in chosen)) == frozenset().union(*writes)


def test_tests_take_the_values_of_a_fixture_in_turn() -> None:
    tests = [frozenset({f"test {number}", place}) for number, place in product(range(8), ("main", "branch"))]
    chosen = [tests[at] for at in enough(tests)]
    assert {next(iter(values - {"main", "branch"})) for values in chosen} == {f"test {n}" for n in range(8)}
    assert sum("main" in values for values in chosen) == 4 == sum("branch" in values for values in chosen)


def test_a_test_without_parameters_stays() -> None:
    assert enough([frozenset({"one"}), frozenset({"two"})]) == {0, 1}


def test_the_first_seeds_are_quick() -> None:
    found = seeds(4, quick=2)
    assert found[:2] == [0, 1]
    assert [mark.name for item in found[2:] for mark in item.marks] == ["slow", "slow"]
