from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from backends.common.batching import Batcher, Request
from backends.common.datatypes import Array
from backends.common.errors import RequestError

WANTED = frozenset({"sum", "twice"})


class Model:
    """Sums and doubles `x`, counts its runs, and fails for a negative number."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, ...]] = []
        self.wanted: list[frozenset[str]] = []

    def run(self, inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        x = inputs["x"]
        self.batches.append(x.shape)
        self.wanted.append(frozenset(outputs))
        if (x < 0).any():
            raise RequestError("negative number", invalid=True)
        bias = inputs.get("bias", np.zeros((len(x), 1)))
        results = {"sum": x.sum(axis=1, keepdims=True) + bias, "twice": x * 2}
        return {name: results[name] for name in outputs}


def request(*rows: list[float], outputs: frozenset[str] = WANTED, **more: Array) -> Request:
    return Request({"x": np.array(rows, np.float64), **more}, outputs)


def outputs_of(outcome: Any) -> dict[str, Any]:
    assert not isinstance(outcome, RequestError)
    return {name: array.tolist() for name, array in outcome.items()}


def test_requests_run_once_and_get_their_own_rows_back() -> None:
    model = Model()
    first, second = Batcher(model.run, batched=True).run_all([request([1, 2]), request([3, 4], [5, 6])])
    assert model.batches == [(3, 2)]
    assert outputs_of(first) == {"sum": [[3]], "twice": [[2, 4]]}
    assert outputs_of(second) == {"sum": [[7], [11]], "twice": [[6, 8], [10, 12]]}


def test_requests_of_other_shapes_run_in_groups_and_keep_their_order() -> None:
    model = Model()
    outcomes = Batcher(model.run, batched=True).run_all([request([1, 2]), request([1, 2, 3]), request([5, 6])])
    assert sorted(model.batches) == [(1, 3), (2, 2)]
    assert [outputs_of(outcome)["sum"] for outcome in outcomes] == [[[3]], [[6]], [[11]]]


def test_an_optional_input_that_is_left_out_makes_a_group() -> None:
    model = Model()
    with_bias = request([1, 2], bias=np.array([[10.0]]))
    outcomes = Batcher(model.run, batched=True).run_all([request([1, 2]), with_bias])
    assert len(model.batches) == 2
    assert [outputs_of(outcome)["sum"] for outcome in outcomes] == [[[3]], [[13]]]


def test_an_error_hurts_only_its_own_request() -> None:
    model = Model()
    good, bad, other = Batcher(model.run, batched=True).run_all([request([1, 2]), request([-1, 2]), request([3, 4])])
    assert outputs_of(good)["sum"] == [[3]]
    assert outputs_of(other)["sum"] == [[7]]
    assert isinstance(bad, RequestError)
    assert (str(bad), bad.invalid) == ("negative number", True)


def test_whatever_a_framework_raises_becomes_a_request_error() -> None:
    def broken(inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        raise KeyError("layer\n7")

    (outcome,) = Batcher(broken, batched=True).run_all([request([1, 2])])
    assert isinstance(outcome, RequestError)
    assert (str(outcome), outcome.invalid) == ("'layer\\n7'", False)


def test_only_outputs_that_someone_wants_are_computed_and_given() -> None:
    model = Model()
    one, two = frozenset({"sum"}), frozenset({"twice"})
    batcher = Batcher(model.run, batched=True)
    assert [set(outputs_of(o)) for o in batcher.run_all([request([1, 2], outputs=one)])] == [{"sum"}]
    both = batcher.run_all([request([1, 2], outputs=one), request([1, 2], outputs=two)])
    assert [set(outputs_of(o)) for o in both] == [{"sum"}, {"twice"}]
    assert model.wanted == [one, WANTED]


def test_one_request_alone_is_not_copied() -> None:
    seen: list[Array] = []

    def remember(inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        seen.append(inputs["x"])
        return {"twice": inputs["x"]}

    alone = request([1, 2], outputs=frozenset({"twice"}))
    Batcher(remember, batched=True).run_all([alone])
    assert seen[0] is alone.inputs["x"]


def test_without_a_batch_dimension_each_request_runs_alone() -> None:
    model = Model()
    Batcher(model.run, batched=False).run_all([request([1, 2]), request([3, 4])])
    assert model.batches == [(1, 2), (1, 2)]


def test_an_output_whose_first_dimension_is_not_the_batch_is_refused() -> None:
    def total(inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        return {"sum": inputs["x"].sum()}

    (outcome,) = Batcher(total, batched=True).run_all([request([1, 2])])
    assert "output 'sum' has the shape [] for a batch of 1" in str(outcome)
    assert "max_batch_size: 0" in str(outcome)


def test_inputs_that_disagree_about_the_batch_are_the_callers_fault() -> None:
    (outcome,) = Batcher(Model().run, batched=True).run_all([request([1, 2], bias=np.zeros((2, 1)))])
    assert isinstance(outcome, RequestError)
    assert outcome.invalid
    assert str(outcome) == "all inputs must have the same batch size, but they have: 'bias' 2, 'x' 1"


def test_a_shared_value_is_passed_once_to_those_who_agree_on_it() -> None:
    seen: list[tuple[int, list[list[int]]]] = []

    def run(inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        seen.append((len(inputs["x"]), inputs["rate"].tolist()))
        return {"twice": inputs["x"] * 2}

    requests = [request([1, 2], outputs=frozenset({"twice"}), rate=np.array([[rate]])) for rate in (8, 16, 8)]
    outcomes = Batcher(run, batched=True, shared=frozenset({"rate"})).run_all(requests)
    assert seen == [(2, [[8]]), (1, [[16]])]
    assert all(not isinstance(outcome, RequestError) for outcome in outcomes)


def test_no_requests_give_no_outcomes() -> None:
    assert Batcher(Model().run, batched=True).run_all([]) == []


rows = st.integers(0, 3)
widths = st.integers(0, 3)
dtypes = st.sampled_from([np.float32, np.float64, np.int8])


@st.composite
def requests(draw: st.DrawFn) -> list[Request]:
    made = []
    for index in range(draw(st.integers(0, 6))):
        shape = (draw(rows), draw(widths))
        x = np.full(shape, index, draw(dtypes))
        text = np.array([b"%d" % index] * shape[0], object)
        wanted = draw(st.sampled_from([frozenset({"x"}), frozenset({"text"}), frozenset({"x", "text"})]))
        made.append(Request({"x": x, "text": text}, wanted))
    return made


@pytest.mark.parametrize("batched", [True, False])
@given(batch=requests())
def test_a_batch_gives_what_each_request_gets_alone(batched: bool, batch: list[Request]) -> None:
    def identity(inputs: Mapping[str, Array], outputs: Collection[str]) -> dict[str, Array]:
        return {name: inputs[name] for name in outputs}

    batcher = Batcher(identity, batched=batched)
    together = batcher.run_all(batch)
    for one, outcome in zip(batch, together, strict=True):
        assert not isinstance(outcome, RequestError)
        (alone,) = batcher.run_all([one])
        assert not isinstance(alone, RequestError)
        assert outcome.keys() == alone.keys() == one.outputs
        for name, array in outcome.items():
            assert array.dtype == alone[name].dtype
            assert array.shape == alone[name].shape
            assert array.tolist() == alone[name].tolist()
