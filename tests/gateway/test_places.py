from pathlib import Path

from gateway.config import Config, ControlSection, load
from gateway.places import Places, state_home


def test_state_is_kept_below_the_user_s_state(tmp_path: Path) -> None:
    places = Places.of(Config(), {"XDG_STATE_HOME": str(tmp_path)})
    assert places.state == tmp_path / "triton-gateway/traffic-8082.json"
    assert places.reports == tmp_path / "triton-gateway/comparisons-8082"


def test_the_configuration_says_it_better(tmp_path: Path) -> None:
    config = load(None, (f"traffic.state_file={tmp_path}/s.json", f"traffic.reports={tmp_path}/r"))
    places = Places.of(config, {})
    assert (places.state, places.reports) == (tmp_path / "s.json", tmp_path / "r")


def test_a_gateway_on_any_port_remembers_nothing_of_another() -> None:
    config = Config(control=ControlSection(port=0))
    one, other = Places.of(config, {}), Places.of(config, {})
    assert not {one.state, one.reports, one.tap} & {other.state, other.reports, other.tap}


def test_what_was_kept_for_one_run_goes_with_it(tmp_path: Path) -> None:
    places = Places.of(Config(control=ControlSection(port=0)), {})
    places.tap.parent.mkdir()
    places.state.write_text("{}")
    places.leave()
    assert not places.tap.parent.exists()
    Places.of(Config(), {"XDG_STATE_HOME": str(tmp_path)}).leave()  # where nothing was kept


def test_a_socket_s_path_is_short_enough() -> None:
    assert len(str(Places.of(Config(), {}).tap)) < 108


def test_a_relative_state_home_is_none() -> None:
    assert state_home({"XDG_STATE_HOME": "relative"}) == Path.home() / ".local/state/triton-gateway" == state_home({})
