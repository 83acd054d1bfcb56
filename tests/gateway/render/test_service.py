from gateway.render.service import Service


def test_a_service_is_a_value() -> None:
    assert Service("gw", "", 8080, ("gw",), "") == Service("gw", "", 8080, ("gw",), "")
