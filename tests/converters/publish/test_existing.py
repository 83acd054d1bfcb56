from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from converters.errors import ConfigError, ConversionError
from converters.graph.files import digest_of_file
from converters.publish.existing import Existing
from converters.publish.folder import publish
from gateway.config import RepositorySection
from gateway.repository.description import Description, Prepared
from gateway.repository.holdings import Holdings
from gateway.repository.store import Store
from tests.converters.publish.results import LINEAGE, content, record


def test_a_number_is_never_used_twice(tmp_path: Path) -> None:
    assert Existing.at(tmp_path / "m").next_version == 1
    for place in ("m/2", "m/.retired/5", "m/notes", "m/03"):
        (tmp_path / place).mkdir(parents=True)
    found = Existing.at(tmp_path / "m")
    assert (found.kept, found.retired, found.next_version) == ((2,), (5,), 6)
    (tmp_path / "m" / ".triton-gateway.json").write_text(json.dumps({"schema": 1, "versions": {}, "last_version": 8}))
    assert found.next_version == 9


def test_the_version_that_has_the_very_same_files(tmp_path: Path) -> None:
    place = publish(tmp_path, "m", content(b"one")).folder
    digest = digest_of_file(place / "1" / "model.onnx")
    assert Existing.at(place).holding({"model.onnx": digest}) == 1
    assert Existing.at(place).holding({"model.onnx": "0"}) is None
    assert Existing.at(place).holding({"model.onnx": digest, "more": digest}) is None
    assert Existing.at(tmp_path / "absent").holding({"model.onnx": digest}) is None


def test_what_triton_convert_did_not_make_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "speech" / "1").mkdir(parents=True)
    (tmp_path / "speech" / "1" / "model.onnx").write_bytes(b"the original")
    with pytest.raises(ConfigError, match="speech is there already and was not made by triton-convert; publish under"):
        Existing.at(tmp_path / "speech").check((record(b"one"),))


def test_a_new_version_of_the_source_is_no_other_model(tmp_path: Path) -> None:
    existing = Existing.at(publish(tmp_path, "m", content(b"one")).folder)
    existing.check((record(b"two", source=replace(LINEAGE, version=2, sha256="2" * 64)),))
    with pytest.raises(ConfigError, match="m is made from speech as onnx, and not speech as plan"):
        existing.check((record(b"two", "model.plan"),))


def test_a_configuration_that_was_changed_by_hand_is_not_lost(tmp_path: Path) -> None:
    place = publish(tmp_path, "m", content(b"one")).folder
    config = place / "config.pbtxt"
    config.write_text(config.read_text() + "max_batch_size: 2\n")
    with pytest.raises(ConfigError, match=r"config\.pbtxt was changed by hand.*; put what shall differ into"):
        publish(tmp_path, "m", content(b"two"))
    config.unlink()
    assert publish(tmp_path, "m", content(b"two")).version == 2


def test_the_gateways_record_learns_of_a_version_that_it_did_not_publish(tmp_path: Path) -> None:
    place = publish(tmp_path, "m", content(b"one")).folder
    assert Existing.at(place).record_with(2) is None
    told = {"schema": 1, "name": "m", "last_version": 1, "versions": {"1": {"version": 1, "source": "m.onnx"}}}
    (place / ".triton-gateway.json").write_text(json.dumps(told))
    publish(tmp_path, "m", content(b"two"))
    found = json.loads((place / ".triton-gateway.json").read_text())
    assert found["versions"]["1"] == told["versions"]["1"]  # type: ignore[index]  # written above
    assert (found["versions"]["2"]["state"], found["last_version"]) == ("kept", 2)


def test_the_gateway_does_not_take_it_for_tampering(tmp_path: Path) -> None:
    repository = tmp_path / "models"
    publish(repository, "m", content(b"one"))
    description = Description("onnx", "onnxruntime", None, (), (), False, "model.onnx")
    store = Store(repository)
    store.publish("m", Prepared(repository / "m", description), source="m.onnx")
    holdings = Holdings(store, RepositorySection(path=repository))
    assert holdings.open() == []
    assert publish(repository, "m", content(b"three"), force=True).version == 3
    holdings.look(["m"])
    assert (holdings.problems, list(holdings.served)) == ({}, ["m"])
    assert store.record("m").served == 3  # type: ignore[union-attr]  # it was recorded just now
    store.rollback("m", 1)
    assert publish(repository, "m", content(b"three")).outcome == "retired"


@pytest.mark.parametrize(
    ("text", "told"),
    [('{"schema": 2, "versions": {}}', "a newer triton-gateway"), ("[]", "is not a model's record"), ("{", "is not")],
)
def test_a_record_that_cannot_be_understood(tmp_path: Path, text: str, told: str) -> None:
    place = publish(tmp_path, "m", content(b"one")).folder
    (place / ".triton-gateway.json").write_text(text)
    with pytest.raises(ConversionError, match=told):
        publish(tmp_path, "m", content(b"two"))
    assert not (place / "2").exists()
