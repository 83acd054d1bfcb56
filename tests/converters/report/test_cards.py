import re
from dataclasses import replace

from converters.build.results import Latency
from converters.report.cards import model_card, problem_box
from tests.converters.report.builds import (
    NOT_RUN,
    broken_model,
    failing,
    output,
    passing,
    problem,
    refusal,
    unverified,
    verdict,
)


def test_a_model_has_its_facts_and_charts() -> None:
    card = model_card(passing(), "model-3")
    assert card.startswith('<article class="card" id="model-3">')
    for fact in ("models/minilm.py:encoder", "factory", "21.0 MB", "48.5 s", "1830 MiB", "minilm_fp16_rtx/3", NOT_RUN):
        assert fact in card
    assert "10.5 MB, 2.00x smaller" in card
    assert "8 ms, 1.50x as fast" in card
    assert "fp16 rtx, 2 GPU kinds" in card
    assert card.count("<figure>") == 2 + 3  # sizes, latency, and the errors of FP32 and both variants


def test_an_engines_own_run_has_its_own_figures() -> None:
    model = passing()
    built = replace(
        model.variants[0].built[0],
        ran="engine",
        verdict=verdict(),
        latency=Latency("tensorrt_rtx 1.7.1", 1, 12.0, 0.5, 1.0, 1.0),
    )
    card = model_card(replace(model, variants=(replace(model.variants[0], built=(built,)),)), "m")
    assert "engine run here; its gate passed" in card
    assert "0.5 ms, 24.00x as fast" in card
    assert "<figcaption><strong>fp16 rtx</strong></figcaption>" in card


def test_failures_are_told_in_one_line() -> None:
    card = model_card(failing(), "m")
    assert card.count('<p class="alarm">it is not as good as the original</p>') == 4
    assert "7 NaN or infinite" in card
    assert "No elements were compared." in card


def test_a_model_that_could_not_be_opened() -> None:
    card = model_card(broken_model(), "m")
    assert "<svg" not in card
    assert "is no ONNX model" in card


def test_a_model_without_data() -> None:
    card = model_card(unverified(), "m")
    assert "not judged" in card
    assert "not run: there is no verification data" in card


def test_long_lists_are_folded() -> None:
    model = passing()
    many = replace(model.variants[0], kept_fp32=tuple(f"node_{n}" for n in range(90)), verdict=verdict(
        *(output(f"out_{n}", 0.1 / (n + 1)) for n in range(9))
    ))  # fmt: skip
    card = model_card(replace(model, verdict=None, variants=(many,)), "m")
    assert re.search(r"<details><summary>90 nodes kept in FP32</summary><ul class=\"names\"><li>node_0</li>", card)
    assert "<details><summary>5 more outputs</summary>" in card
    assert card.index("<code>out_0</code>") < card.index("5 more outputs") < card.index("<code>out_8</code>")


def test_a_problem_is_told_with_the_thresholds_and_the_worst_layer() -> None:
    box = problem_box(problem(), refusal())
    for words in ("step <code>gate int8</code>", "<code>block/MatMul_1 (MatMul)</code>", "give more data"):
        assert words in box
    assert "mean relative error 0.31" in box
    assert box.count("<tr>") == 1 + 9
    assert "<table" not in problem_box(problem(), None)
