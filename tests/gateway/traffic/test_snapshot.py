import json

import msgspec
import pytest

from gateway.traffic.snapshot import Override, Snapshot


def test_a_snapshot_travels_as_json() -> None:
    snapshot = Snapshot(3, {"r": Override("abc", {"a": 95.0, "b": 5.0}, "e1", 25.0)}, {"stable": "r/2", "gone": ""})
    assert Snapshot.of(json.loads(json.dumps(snapshot.as_dict()))) == snapshot


def test_nothing_decided_is_the_first_revision() -> None:
    assert Snapshot.of({}) == Snapshot()


def test_what_nobody_knows_is_refused() -> None:
    with pytest.raises(msgspec.ValidationError):
        Snapshot.of({"weights": {}})
