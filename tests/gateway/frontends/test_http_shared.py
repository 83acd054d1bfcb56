from gateway.frontends.http import HttpFrontend
from gateway.frontends.http_shared import Shared
from gateway.frontends.intake import Intake
from gateway.frontends.pages import pages
from tests.gateway.frontends.http_rig import Scripted, current


class Open:
    """A connection that does nothing."""

    def close(self) -> None:
        """Nothing to close."""

    def abort(self) -> None:
        """Nothing to abort."""


def shared() -> Shared:
    serves = current(Scripted())
    return Shared(HttpFrontend(serves, Intake(1000)), pages(), serves, ("127.0.0.1", 80))


def test_draining_is_over_when_nothing_is_under_way_and_nobody_is_connected() -> None:
    all_of_them, connection = shared(), Open()
    all_of_them.busy = 1
    all_of_them.connections.add(connection)
    all_of_them.drain()
    assert not all_of_them.quiet.is_set()
    all_of_them.rest()
    assert all_of_them.quiet.is_set()
    assert not all_of_them.empty.is_set()
    all_of_them.lose(connection)
    assert all_of_them.empty.is_set()


def test_without_connections_it_is_over_at_once() -> None:
    nobody = shared()
    nobody.drain()
    assert nobody.quiet.is_set()
    assert nobody.empty.is_set()
