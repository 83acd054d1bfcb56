import msgspec
import pytest
from rich.console import Console, RenderableType

from gateway.tap.report import tables
from tests.gateway.tap.report.reports import full


def printed(width: int, what: RenderableType) -> str:
    console = Console(width=width)
    with console.capture() as capture:
        console.print(what)
    assert max(map(len, capture.get().splitlines())) <= width
    return capture.get()


@pytest.mark.parametrize("width", [80, 200])
def test_figures_are_never_cut(width: int) -> None:
    report = full()
    report.outputs["a_name_that_is_longer_than_most.are"] = report.outputs["scores"]
    said = printed(width, tables.outputs(report))
    for figure in ("0.997527", "99.5 %", "FP32 [1, 10]"):
        assert figure in said
    assert "…" not in said
    cases = [msgspec.structs.replace(case, request_id="0d8d6b33-" * 4) for case in report.worst]
    said = printed(width, tables.worst(cases))
    assert "2026-09-21 14:38:30.000" in said
    assert "…" not in said


def test_what_is_known_of_none_has_no_column() -> None:
    report = full()
    assert "top-1" in printed(80, tables.outputs(report))
    del report.outputs["scores"], report.outputs["n"]
    said = printed(80, tables.outputs(report))
    assert "label" in said
    assert "top-1" not in said
    assert "request" in printed(80, tables.worst(report.worst))
    assert "request" not in printed(
        80, tables.worst([msgspec.structs.replace(each, request_id="") for each in report.worst])
    )


def test_text_is_nothing_but_text() -> None:
    assert "[bold]" in printed(120, tables.outputs(full("[bold]")))
