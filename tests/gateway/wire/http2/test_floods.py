import pytest

from gateway.wire.http2.floods import Floods
from gateway.wire.http2.frames import ENHANCE_YOUR_CALM, Http2Error


@pytest.mark.parametrize("kind", ["noise", "reset"])
def test_a_flood_ends_the_connection_and_a_steady_peer_goes_on(kind: str) -> None:
    seconds = [100.0]
    floods = Floods(lambda: seconds[0])
    act = getattr(floods, kind)
    for _ in range(50):  # far more in total than in a second
        seconds[0] += 1
        for _ in range(300):
            act()

    def flood() -> None:
        for _ in range(20_000):
            act()

    with pytest.raises(Http2Error) as caught:
        flood()
    assert caught.value.code == ENHANCE_YOUR_CALM
