from pathlib import Path

import pytest

from gateway.repository.drops import Drop
from gateway.repository.progress import PREPARING, REFUSED, News, NewsKind, Progress

DROP = Drop("fraud", Path("models/fraud.onnx"), (Path("models/fraud.onnx"),))
SEEN = (("models/fraud.onnx", 1, 2, 3),)
CHANGED = (("models/fraud.onnx", 1, 4, 3),)


@pytest.fixture
def news() -> list[News]:
    return []


@pytest.fixture
def progress(news: list[News]) -> Progress:
    return Progress(lambda: None, news.append)


def test_a_drop_is_followed_from_its_start_to_its_end(progress: Progress, news: list[News]) -> None:
    progress.begin(DROP, SEEN)
    progress.step("fraud", "loading the model")
    told = progress.as_dict("fraud")
    assert (told["state"], told["step"], told["drop"]) == (PREPARING, "loading the model", "fraud.onnx")
    progress.published("fraud", 3)
    assert progress.works == {}
    assert [(each.kind, each.message) for each in news] == [
        (NewsKind.DROPPED, "fraud.onnx"),
        (NewsKind.PUBLISHED, "3"),
    ]
    assert news[-1].seconds is not None


def test_a_refusal_stays_with_its_reason_until_it_is_forgotten(progress: Progress, news: list[News]) -> None:
    progress.begin(DROP, SEEN)
    progress.refused("fraud", "it is a pickle")
    told = progress.as_dict("fraud")
    assert (told["state"], told["reason"], told["step"]) == (REFUSED, "it is a pickle", "")
    assert news[-1].kind is NewsKind.REFUSED
    progress.forget("fraud")
    assert progress.works == {}


def test_a_drop_is_known_while_it_is_prepared_and_when_it_was_refused_as_it_is(progress: Progress) -> None:
    assert not progress.is_known(DROP, SEEN)
    progress.begin(DROP, SEEN)
    assert progress.is_known(DROP, CHANGED)
    progress.refused("fraud", "damaged")
    assert progress.is_known(DROP, SEEN)
    assert not progress.is_known(DROP, CHANGED)
    assert not progress.is_known(Drop("fraud", DROP.source, DROP.files, "another problem"), SEEN)


def test_the_mark_tells_one_drop_from_another_of_the_same_name(progress: Progress) -> None:
    marks = set()
    for seen in (SEEN, CHANGED):
        progress.begin(DROP, seen)
        marks.add(progress.as_dict("fraud")["mark"])
    assert len(marks) == 2


def test_each_change_is_told(news: list[News]) -> None:
    changes: list[int] = []
    progress = Progress(lambda: changes.append(1), news.append)
    progress.begin(DROP, SEEN)
    progress.step("fraud", "publishing")
    progress.published("fraud", 1)
    progress.tell(News(NewsKind.REMOVED, "other"))
    progress.forget("nobody")
    assert len(changes) == 4
