"""Waves of nodes and the number of bad ones that is too many."""

from __future__ import annotations

import pytest

from clusterdeck.console.session.waves import plan_waves, spread, stop_threshold


@pytest.mark.parametrize(
    ("count", "spec", "sizes"),
    [
        (0, None, []),
        (7, None, [7]),
        (128, "1,10%,rest", [1, 13, 114]),
        (10, "3", [3, 3, 3, 1]),
        (10, "1,2", [1, 2, 2, 2, 2, 1]),
        (3, "50%", [2, 1]),
        (5, "rest", [5]),
        (2, "1,10%,rest", [1, 1]),
        (1, " 1 , rest ", [1]),
        (10, "100%", [10]),
    ],
)
def test_waves_cover_all_nodes_once(count: int, spec: str | None, sizes: list[int]) -> None:
    waves = plan_waves(count, spec)
    assert [len(wave) for wave in waves] == sizes
    assert [number for wave in waves for number in wave] == list(range(count))


@pytest.mark.parametrize("spec", ["0", "x", "1,,2", "-1", "101%", "0%", "1;2", "inf", "nan%", "1e3%"])
def test_wrong_waves_are_named(spec: str) -> None:
    with pytest.raises(ValueError, match="cannot read"):
        plan_waves(10, spec)


@pytest.mark.parametrize(
    ("count", "spec", "limit"), [(100, None, None), (100, "3", 3), (100, "2%", 2), (10, "2%", 1), (100, "0", 1)]
)
def test_thresholds(count: int, spec: str | None, limit: int | None) -> None:
    assert stop_threshold(count, spec) == limit


def test_a_plan_in_words() -> None:
    assert spread(128, plan_waves(128, "1,10%,rest")) == "1, then 13, then 114 of 128"
