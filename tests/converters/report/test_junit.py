import xml.etree.ElementTree as ET
from dataclasses import replace

from converters.build.results import BuildResult
from converters.report.junit import junit
from tests.converters.report.builds import (
    NOT_RUN,
    broken_model,
    engine,
    everything,
    failing,
    passing,
    problem,
    result,
    unverified,
    verdict,
)


def read(build: BuildResult) -> ET.Element:
    return ET.fromstring(junit(build))  # noqa: S314 - written here


def cases(build: BuildResult) -> dict[str, ET.Element]:
    return {f"{case.get('classname')} {case.get('name')}": case for case in read(build).iter("testcase")}


def outcomes(build: BuildResult) -> dict[str, str]:
    kinds = {"failure", "error", "skipped"}
    return {name: next((each.tag for each in case if each.tag in kinds), "") for name, case in cases(build).items()}


def test_gates_engines_and_publications_are_cases() -> None:
    found = outcomes(result(passing()))
    assert found == dict.fromkeys(
        [
            "minilm gate onnx", "minilm.fp16 gate fp16", "minilm.fp16 engine fp16 rtx", "minilm.fp16 publish fp16 rtx",
            "minilm.int8 gate int8", "minilm.int8 publish int8 cpu",
        ],
        "",
    )  # fmt: skip


def test_times_are_those_of_the_steps() -> None:
    suite = read(result(passing())).find("testsuite")
    assert suite is not None
    assert (suite.get("time"), suite.get("timestamp")) == ("48.500", "2026-11-21T16:20:37")
    assert cases(result(passing()))["minilm.fp16 engine fp16 rtx"].get("time") == "31.500"


def test_figures_are_the_output_of_a_case() -> None:
    told = {name: case.findtext("system-out") or "" for name, case in cases(result(passing())).items()}
    assert "scores: cosine 0.998700" in told["minilm.fp16 gate fp16"]
    assert "ranking: 0.99" in told["minilm.fp16 gate fp16"]
    assert NOT_RUN in told["minilm.fp16 engine fp16 rtx"]
    assert told["minilm.fp16 publish fp16 rtx"] == "minilm_fp16_rtx/3, a new version"


def test_a_gate_fails_and_anything_else_is_an_error() -> None:
    assert outcomes(result(failing())) == {
        "detector gate onnx": "",
        "detector.fp16 gate fp16": "",
        "detector.fp16 engine fp16 rtx": "error",
        "detector.fp16 gate fp16 trt": "failure",
        "detector.int8 gate int8": "failure",
        "detector.fp8 gate fp8": "error",
    }
    failure = cases(result(failing()))["detector.int8 gate int8"].find("failure")
    assert failure is not None
    assert (failure.get("message"), failure.get("type")) == ("it is not as good as the original", "Refused")
    assert (failure.text or "").splitlines()[1:] == [
        "where: step gate int8, node block/MatMul_1 (MatMul)", "way out: give more data",
    ]  # fmt: skip


def test_what_failed_after_its_gate_has_a_case_of_its_own() -> None:
    variant = replace(passing().variants[1], problem=problem("ConversionError", "timing int8"), built=())
    found = outcomes(result(replace(passing(), variants=(variant,))))
    assert found == {"minilm gate onnx": "", "minilm.int8 gate int8": "", "minilm.int8 timing int8": "error"}


def test_an_engine_that_was_run_has_a_gate_of_its_own() -> None:
    variant = replace(passing().variants[0], built=(engine(ran="engine", verdict=verdict()),))
    assert "minilm.fp16 gate fp16 rtx" in cases(result(replace(passing(), variants=(variant,))))


def test_what_was_not_judged_is_skipped() -> None:
    found = outcomes(result(unverified()))
    assert found["unverified gate onnx"] == found["unverified.fp16 gate fp16"] == "skipped"


def test_counts_are_those_of_the_cases() -> None:
    root = read(everything())
    for element in (root, *root.iter("testsuite")):
        assert element.get("tests") == str(len(list(element.iter("testcase"))))
        for key, tag in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert element.get(key) == str(len(list(element.iter(tag))))


def test_only_what_the_common_schema_has_in_its_order() -> None:
    allowed = {
        "testsuites": {"name", "tests", "failures", "errors", "skipped", "time"},
        "testsuite": {"name", "tests", "failures", "errors", "skipped", "time", "timestamp"},
        "testcase": {"classname", "name", "time"},
        "failure": {"message", "type"},
        "error": {"message", "type"},
        "skipped": {"message"},
        "properties": set[str](),
        "property": {"name", "value"},
        "system-out": set[str](),
    }
    root = read(everything())
    for element in root.iter():
        assert set(element.attrib) <= allowed[element.tag]
    for case in root.iter("testcase"):
        assert [each.tag for each in case][1:] in ([], ["system-out"])


def test_hostile_names_and_an_empty_build() -> None:
    text = junit(result(broken_model()))
    assert b"<script" not in text
    assert b"\x07" not in text
    assert outcomes(result(broken_model())) == {next(iter(outcomes(result(broken_model())))): "error"}
    assert read(result()).get("tests") == "0"


def test_a_start_that_cannot_be_read_is_no_failure() -> None:
    suite = read(replace(result(passing()), started_at="just now")).find("testsuite")
    assert suite is not None
    assert suite.get("timestamp") == "1970-01-01T00:00:00"
