import pytest
from pydantic import ValidationError

from gateway.traffic.mirror_sections import CompareSection, MirrorSection


def test_what_has_no_name_is_called_by_its_model() -> None:
    assert MirrorSection(model="m").label == "m"
    assert MirrorSection(model="m", version=2).label == "m-2"
    assert MirrorSection(model="m", name="shadow").label == "shadow"


def test_a_copy_has_less_time_than_a_request_by_default() -> None:
    assert MirrorSection(model="m").timeout_seconds < 60


@pytest.mark.parametrize("said", [{"by": "luck"}, {"cosine": 2}, {"absolute": -1}, {"keep": -1}])
def test_what_makes_no_sense_is_refused(said: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        CompareSection.model_validate(said)
