import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.history import retained, retired, rolled_back
from gateway.repository.record import ModelRecord, VersionRecord


def model(kept: tuple[int, ...], gone: tuple[int, ...] = ()) -> ModelRecord:
    record = ModelRecord("m")
    for number in kept:
        record = record.with_version(VersionRecord(number, "kept", "now"))
    for number in gone:
        record = record.with_version(VersionRecord(number, "retired", "now", reason="retired"))
    return record


@pytest.mark.parametrize(
    ("kept", "gone", "to", "kept_after", "gone_after"),
    [
        ((1, 2, 3), (), None, (1, 2), (3,)),
        ((1, 2, 3), (), 1, (1,), (2, 3)),
        ((1, 2), (3,), 3, (1, 2, 3), ()),
        ((1, 3), (2,), 2, (1, 2), (3,)),
        ((1, 3), (2,), None, (1,), (2, 3)),
    ],
)
def test_a_rollback_serves_that_version_and_retires_those_above(
    kept: tuple[int, ...],
    gone: tuple[int, ...],
    to: int | None,
    kept_after: tuple[int, ...],
    gone_after: tuple[int, ...],
) -> None:
    after = rolled_back(model(kept, gone), to)
    assert (after.kept, after.retired) == (kept_after, gone_after)
    assert after.last_version == 3
    assert all(bool(version.reason) == (version.state == "retired") for version in after.versions.values())


@pytest.mark.parametrize(
    ("to", "reason"),
    [(2, "is the one that is served already"), (9, "there is no version 9; kept: 2; retired.*: 3")],
)
def test_a_rollback_that_cannot_be_says_why(to: int, reason: str) -> None:
    with pytest.raises(ModelRefused, match=reason):
        rolled_back(model((2,), (3,)), to)


def test_without_an_earlier_version_there_is_nothing_to_go_back_to() -> None:
    with pytest.raises(ModelRefused, match=r"no earlier version to go back to; kept: 1$"):
        rolled_back(model((1,)), None)


def test_a_retired_version_says_that_it_was_retired() -> None:
    after = retired(model((1, 2)), 1)
    assert (after.kept, after.retired, after.versions[1].reason) == ((2,), (1,), "retired")


def test_retention_drops_the_oldest_but_never_the_one_that_is_served() -> None:
    assert sorted(retained(model((1, 2, 3), (4,)), 2).versions) == [3, 4]
    assert sorted(retained(model((1,), (2, 3, 4)), 2).versions) == [1, 4]
    assert sorted(retained(model((1, 2)), 5).versions) == [1, 2]
    assert sorted(retained(model((1, 2)), 0).versions) == [2]
    assert retained(model((1, 2, 3)), 1).last_version == 3


def test_what_traffic_is_sent_to_by_its_number_stays() -> None:
    assert sorted(retained(model((1, 2, 3, 4)), 2, pinned={1}).versions) == [1, 4]
    assert sorted(retained(model((1, 2, 3)), 1, pinned={1, 2}).versions) == [1, 2, 3]
