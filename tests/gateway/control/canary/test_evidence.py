import json

from gateway.control.canary.evidence import Evidence, Sample

ONE = Evidence(Sample(10, 1, {3: 4, 5: 7}), Sample(2, 1, {5: 3}), 20, 2, 15, 5)
OTHER = Evidence(Sample(1, 0, {3: 1}), Sample(0, 1, {9: 1}), 1, 0, 1, 0)


def test_data_workers_add_up() -> None:
    assert Evidence(Sample(11, 1, {3: 5, 5: 7}), Sample(2, 2, {5: 3, 9: 1}), 21, 2, 16, 5) == ONE + OTHER


def test_nothing_changes_nothing() -> None:
    assert ONE + Evidence() == ONE


def test_it_outlives_the_process_as_json() -> None:
    assert Evidence.of(json.loads(json.dumps(ONE.as_dict()))) == ONE


def test_a_workers_report_of_one_target_is_a_sample() -> None:
    assert Sample.of({"ok": 3, "failed": 1, "latency": {"210": 4}}) == Sample(3, 1, {210: 4})


def test_a_part_that_is_not_reported_is_nothing() -> None:
    assert Evidence.of({"candidate": {"ok": 1}}) == Evidence(candidate=Sample(1))


def test_it_knows_its_totals() -> None:
    assert (ONE.baseline.served, ONE.candidate.served, ONE.shadowed, ONE.compared) == (11, 3, 22, 20)
