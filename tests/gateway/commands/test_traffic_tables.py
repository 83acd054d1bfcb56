import io
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console, RenderableType

from gateway.commands import traffic_tables
from gateway.control.traffic import views
from tests.gateway.control.traffic.rig import Rig, section, tap_report


def text(part: RenderableType) -> str:
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(part)
    return console.export_text()


@given(st.lists(st.floats(0, 100), min_size=1, max_size=30))
def test_a_bar_is_never_longer_than_its_room(parts: list[float]) -> None:
    total = sum(parts) or 1.0
    bar = traffic_tables.share_bar({str(n): 100 * part / total for n, part in enumerate(parts)})
    assert len(bar) <= 24


def test_a_small_share_is_seen() -> None:
    assert [span.end - span.start for span in traffic_tables.share_bar({"old": 99.9, "new": 0.1}).spans] == [24]
    assert [span.end - span.start for span in traffic_tables.share_bar({"new": 0.1, "old": 99.9}).spans] == [1, 23]


def test_a_route_has_everything(tmp_path: Path) -> None:
    rig = Rig(tmp_path)
    worker = rig.worker("a")
    worker.served("old", 1234, failed=10)
    worker.copied(5, failed=1)
    rig.hear(tap_report(worker.epoch, 3, 1))
    told = text(traffic_tables.route(views.details(rig.traffic, "fraud")))
    for word in ("fraud/2", "1,244", "0.804 %", "10", "old~new", "2 full", "75 %", "begins with 5 %", "95 %"):
        assert word in told


def test_who_has_the_weights() -> None:
    def by(**told: Any) -> str:
        return traffic_tables.steered_by({"by_hand": False, "canary": None, **told})

    assert by() == "configuration"
    assert by(by_hand=True, canary="promoted") == "[yellow]hand[/]"
    assert by(canary="rolled_back") == "canary ([red]rolled back[/])"


def test_names_are_never_markup(tmp_path: Path) -> None:
    rig = Rig(tmp_path, section({"model": "iris", "targets": [{"name": "[red]a[/red]", "model": "b", "weight": 100}]}))
    assert "[red]a[/red]" in text(traffic_tables.routes([views.summary(rig.traffic.route("iris"))], []))
    assert "[red]a[/red]" in text(traffic_tables.route(views.details(rig.traffic, "iris")))


@pytest.mark.parametrize(("value", "said"), [(None, ""), (0.0, "0 %"), (0.8041, "0.804 %")])
def test_percentages(value: float | None, said: str) -> None:
    assert traffic_tables.percent(value) == said
