"""The judged figures, on a virtual clock: what is simulated here a few hundred times the benchmark does at length."""

from collections import Counter

import pytest

from benchmarks.canary import FROM_5, Ending, Scenario, row, scenarios, simulate
from gateway.traffic.canary_sections import CanarySection

SHORT = CanarySection(candidate="new", bake_seconds=20.0)
MORE_COPIES = CanarySection(candidate="new", steps=(5.0, 25.0, 50.0, 100.0), shadow_percent=100.0)


def test_pure_noise_is_taken_back_in_less_than_one_of_a_hundred_runs() -> None:
    scenario = Scenario("same", SHORT, per_second=1000, sigma=0.3, drifts=True, errors=(0.003, 0.003))
    phases = Counter(simulate(scenario, seed).phase for seed in range(1000))
    assert phases["rolled_back"] < 10
    assert phases["promoted"] == 1000 - phases["rolled_back"]


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("slower", sigma=0.3, slower=1.2, drifts=True),
        Scenario("wrong", wrong=0.02),
        Scenario("errors", errors=(0.0, 0.01)),
        Scenario("errors", errors=(0.001, 0.01)),
        Scenario("slower", FROM_5, sigma=0.3, slower=1.2),
        Scenario("wrong", MORE_COPIES, wrong=0.02),
        Scenario("errors", MORE_COPIES, errors=(0.0, 0.01)),
    ],
    ids=lambda scenario: f"{scenario.name} from {scenario.section.steps[0]:g} %",
)
def test_a_bad_candidate_is_taken_back_before_it_has_served_200_at_5_percent(scenario: Scenario) -> None:
    endings = [simulate(scenario, seed) for seed in range(100)]
    assert {ending.phase for ending in endings} == {"rolled_back"}
    assert sum(ending.served_at_5 < 200 for ending in endings) >= 97


@pytest.mark.parametrize(
    "scenario",
    [
        Scenario("wrong", per_second=2.0, wrong=1.0),
        Scenario("fails", per_second=2.0, errors=(0.0, 1.0)),
    ],
    ids=lambda scenario: scenario.name,
)
def test_copies_convict_a_broken_candidate_while_there_is_little_traffic(scenario: Scenario) -> None:
    endings = [simulate(scenario, seed) for seed in range(30)]
    assert {ending.phase for ending in endings} == {"rolled_back"}
    assert max(ending.seconds for ending in endings) < 1200
    assert max(ending.served for ending in endings) < 40


def test_a_row_says_how_often_and_where() -> None:
    endings = [
        Ending("rolled_back", 1.0, 0, 40, 60, "errors"),
        Ending("rolled_back", 5.0, 150, 450, 360, "errors"),
        Ending("rolled_back", 5.0, 250, 550, 400, "errors"),
        Ending("promoted", 100.0, 3000, 9000, 1500, "served"),
    ]
    assert row(Scenario("bad"), endings) == [
        "bad; from 1 %, 200/s, sigma 0.45",
        "75.0 %",
        "50.0 %",
        "1 at 1 %, 2 at 5 %",
        "200 / 250 / 250",
        "450 / 550 / 550",
        "360 / 400 / 400",
    ]


def test_every_case_that_is_judged_is_simulated() -> None:
    names = {scenario.name.partition(",")[0] for scenario in scenarios()}
    assert {"same", "20 % slower", "2 % wrong", "1 % errors against 0 %", "1 % errors against 0.1 %"} <= names
