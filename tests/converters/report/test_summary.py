from dataclasses import replace

from converters.report.summary import steps_of, totals, troubles, verdicts, worst_first
from tests.converters.report.builds import broken_model, failing, output, passing, result, unknown, verdict


def test_counts() -> None:
    counts = totals(result(passing(), failing(), broken_model()))
    assert (counts.models, counts.failed_models) == (3, 2)
    assert (counts.variants, counts.failed_variants) == (5, 3)
    assert (counts.results, counts.failed_results) == (4, 2)
    assert (counts.known, counts.new, counts.steps, counts.cached_steps) == (1, 1, 5, 3)
    assert counts.headline == "2 of 3 models failed"
    assert counts.details == (
        "2 variants passed and 3 failed, 2 results (1 known already), 1 new version published, 3 min 23 s"
    )


def test_headlines_of_other_outcomes() -> None:
    assert totals(result()).headline == "Nothing to build"
    assert totals(result(passing())).headline == "The model passed"
    assert totals(result(passing(), passing())).headline == "All 2 models passed"


def test_every_failure_is_found_with_the_verdict_of_its_gate() -> None:
    found = troubles(result(passing(), failing(), broken_model()))
    assert [trouble.place[1:] for trouble in found] == [("fp16", "rtx"), ("fp16", "trt"), ("int8",), ("fp8",), ()]
    assert [trouble.verdict is not None for trouble in found] == [False, True, True, False, False]


def test_a_gate_that_passed_is_no_part_of_a_later_failure() -> None:
    model = replace(passing(), problem=broken_model().problem)
    assert [trouble.verdict for trouble in troubles(result(model))] == [None]


def test_verdicts_are_named_by_what_they_judge() -> None:
    model = passing()
    (variant, *_) = model.variants
    (built, *_) = variant.built
    own = replace(model, variants=(replace(variant, built=(replace(built, verdict=verdict()),)),))
    assert [name for name, _ in verdicts(own)] == ["FP32 ONNX", variant.name, f"{variant.name} {built.target}"]
    assert list(verdicts(broken_model())) == []


def test_worst_outputs_come_first() -> None:
    outputs = (output("good", 1e-5), output("poor", 0.3), unknown(), output("nan", 1e-3, bad=1))
    assert [each.name for each in worst_first(verdict(*outputs))] == ["lost", "nan", "poor", "good"]


def test_steps_of_a_model_and_its_variants() -> None:
    assert [step.name for step in steps_of(passing())] == [
        "to ONNX", "gate onnx", "fp16", "gate fp16", "engine fp16 rtx",
    ]  # fmt: skip
