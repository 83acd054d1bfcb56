from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.tap.report.model import Counts, Damaged, OutputStatistics, Report, Side, file_name, place_of
from tests.gateway.tap.report.reports import empty, full


@pytest.mark.parametrize("report", [empty(), full()])
def test_reports_come_back_as_they_were(report: Report) -> None:
    assert Report.of(report.as_dict()).as_dict() == report.as_dict()
    assert Report.decoded(report.encoded()).encoded() == report.encoded()


def test_programs_read_it_without_knowing_us() -> None:
    told = full().as_dict()
    assert told["format"] == 1
    assert sum(told["counts"].values()) == 200
    assert told["worst"][0]["error"] is None
    assert all(key.lstrip("-").isdigit() for key in told["outputs"]["scores"]["errors"])


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"{", "it is no report of a comparison: "),
        (b"[]", "it is no report of a comparison: "),
        (b"\xff", "it is no report of a comparison: "),
        (b'{"route": "r", "mirror": "m", "settings": {}, "format": 2}', "of format 2, and this version reads 1"),
    ],
)
def test_what_is_no_report_is_told(text: bytes, said: str) -> None:
    with pytest.raises(Damaged, match=said):
        Report.decoded(text)


def test_what_was_not_compared_has_no_agreement() -> None:
    assert Counts(unreadable=3).agreement is None
    assert Counts(3, 1, 9).agreement == 0.75
    nothing = OutputStatistics("FP32", (1,))
    assert (nothing.mean_error, nothing.cosine, nothing.top1) == (None, None, None)
    assert [str(side) for side in (Side("t", "m", "3"), Side("t", "m"))] == ["m version 3", "m"]


@given(st.text(max_size=60), st.text(max_size=60))
def test_whatever_a_pair_is_called_its_folder_is_its_own(first: str, second: str) -> None:
    folder = place_of(Path("/reports"), first, second)
    assert folder.parent.parent == Path("/reports")
    assert not {"", ".", ".."} & set(folder.parts[-2:])
    assert "\0" not in str(folder)
    assert (file_name(first) == file_name(second)) == (first == second)


def test_usual_names_stay_as_they_are() -> None:
    assert [file_name(name) for name in ("ocr-1~ocr-2", "a b", "..", "")] == ["ocr-1~ocr-2", "a%20b", "%2E.", "%"]
