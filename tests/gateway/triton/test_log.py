from pathlib import Path

import pytest

from gateway.core.errors import SetupError
from gateway.triton.log import LogReader, cause_of_failure, default_log_file, prepare

LOG = """\
I1121 02:10:53.857844 23734 model_lifecycle.cc:839] "successfully loaded 'add'"
[libprotobuf ERROR /tmp/src/text_format.cc:337] Error parsing text-format inference.ModelConfig: 1:9: no field "garbage".
E1121 02:11:13.875726 23734 model_repository_manager.cc:1460] "Poll failed for model directory 'broken': failed to read text proto from /m/broken/config.pbtxt"
I1121 02:11:15.126851 23734 python_be.cc:2249] "TRITONBACKEND_ModelInstanceInitialize: raise_0 (CPU device 0)"
E1121 02:11:15.475898 23734 model_lifecycle.cc:642] "failed to load 'raise' version 1: Internal: ValueError: corrupt"
E1121 02:11:17.782746 23734 model_repository_manager.cc:1415] "failed to poll model 'gone': model not found in any model repository."
E1121 02:11:18.000000 23734 model_repository_manager.cc:1460] "Poll failed for model directory 'broken-too': no such backend"
"""  # noqa: E501 - as Triton writes it


@pytest.mark.parametrize(
    ("model", "cause"),
    [
        ("gone", "failed to poll model 'gone': model not found in any model repository."),
        ("raise", "failed to load 'raise' version 1: Internal: ValueError: corrupt"),
        ("add", None),
        ("bro", None),
    ],
)
def test_the_cause_is_what_triton_logged_as_an_error_about_this_model(model: str, cause: str | None) -> None:
    assert cause_of_failure(LOG, model) == cause


def test_a_configuration_that_cannot_be_parsed_is_explained_with_the_parser_s_own_words() -> None:
    cause = cause_of_failure(LOG, "broken")
    assert cause is not None
    assert "failed to read text proto from /m/broken/config.pbtxt" in cause
    assert '1:9: no field "garbage".' in cause


def test_a_log_is_read_from_a_position_on_and_wholly_after_it_was_rotated(tmp_path: Path) -> None:
    log = LogReader(tmp_path / "triton.log")
    assert (log.position(), log.since(0)) == (0, "")
    log.path.write_text("before\n")
    position = log.position()
    with log.path.open("a") as file:
        file.write("after\n")
    assert log.since(position) == "after\n"
    log.path.write_text("new\n")
    assert log.since(position) == "new\n"


def test_the_tail_is_the_last_lines(tmp_path: Path) -> None:
    log = LogReader(tmp_path / "triton.log")
    log.path.write_text("".join(f"line {n}\n" for n in range(100)))
    assert log.tail(3) == "line 97\nline 98\nline 99"


def test_the_tail_leaves_out_triton_s_tables(tmp_path: Path) -> None:
    log = LogReader(tmp_path / "triton.log")
    log.path.write_text("the cause\n+-----+\n| Option | Value |\n+-----+\n\nError: it cannot start\n")
    assert log.tail(2) == "the cause\nError: it cannot start"


def test_the_default_lies_in_the_state_folder_and_differs_by_port(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert default_log_file({"XDG_STATE_HOME": "/state"}, 8000) == Path("/state/triton-gateway/triton-8000.log")
    home = tmp_path / ".local/state/triton-gateway/triton-9000.log"
    assert default_log_file({"XDG_STATE_HOME": "relative"}, 9000) == home
    assert default_log_file({}, 9000) == home


def test_each_run_starts_a_fresh_log_and_keeps_the_one_before(tmp_path: Path) -> None:
    path = tmp_path / "made" / "triton.log"
    for text in ("first", "second"):
        prepare(path)
        assert path.read_text() == ""
        path.write_text(text)
    assert path.with_name("triton.log.1").read_text() == "first"


def test_a_log_that_cannot_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SetupError, match=r"file/triton.log cannot be written: .*; set another triton.log_file"):
        prepare(tmp_path / "file" / "triton.log")


def test_entries_that_run_into_one_another_are_told_apart() -> None:
    joined = LOG.replace("\n", "")
    for model in ("broken", "raise", "gone", "broken-too"):
        assert cause_of_failure(joined, model) == cause_of_failure(LOG, model)
