from converters.build.results import BuildResult, Built, Latency, ModelResult, Problem, VariantResult

PROBLEM = Problem("GateFailed", "gate", "", "it is worse", "keep nodes")


def test_a_build_passes_only_if_everything_in_it_does() -> None:
    good = VariantResult("fp16", "fp16", built=(Built("rtx", "tensorrt_rtx"),))
    late = VariantResult("fp16", "fp16", built=(Built("rtx", "tensorrt_rtx", problem=PROBLEM),))
    bad = VariantResult("int8", "int8", problem=PROBLEM)
    for variants, passed in (((good,), True), ((good, bad), False), ((late,), False), ((), True)):
        model = ModelResult("m", "m.onnx", variants=variants)
        assert model.passed == passed
        assert BuildResult("now", 1.0, "here", {}, (model,)).passed == passed
    assert not ModelResult("m", "m.onnx", problem=PROBLEM).passed


def test_a_speed_up_is_told_against_what_was_before() -> None:
    assert Latency("onnxruntime", 1, before_ms=4.0, after_ms=2.0, cpu_before_ms=4.0, cpu_after_ms=2.0).speedup == 2.0
