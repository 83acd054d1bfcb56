from pathlib import Path

import pytest
from pydantic import ValidationError

from gateway.tap.sections import RecordingSection


@pytest.mark.parametrize("folder", [None, "s3://bucket/prefix", "gs://b", "az://b", "/var/recordings"])
def test_where_recordings_may_go(folder: str | None) -> None:
    assert RecordingSection(folder=folder).folder == folder


def test_a_tilde_is_the_user_s_home() -> None:
    assert RecordingSection(folder="~/r").folder == str(Path.home() / "r")


def test_another_kind_of_store_is_refused() -> None:
    with pytest.raises(ValidationError, match="is no folder, and no object store"):
        RecordingSection(folder="ftp://host/x")


def test_ids_tenants_and_parameters_are_left_out_unless_they_are_asked_for() -> None:
    redact = RecordingSection().redact
    assert (redact.request_id, redact.tenant, redact.parameters) == (True, True, ("*",))
