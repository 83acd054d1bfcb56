from gateway.control.traffic.refusals import NotThere, Refused, not_there


def test_the_nearest_name_is_named() -> None:
    error = not_there("route", "irsi", ["iris", "fraud"])
    assert isinstance(error, Refused)
    assert error.message == "there is no route 'irsi'; did you mean 'iris'?"


def test_else_all_that_there_are() -> None:
    assert not_there("route", "zzz", ["iris", "fraud"]).message == "there is no route 'zzz'; there are: fraud, iris"
    assert not_there("route", "zzz", []).message == "there is no route 'zzz'; there is none at all"
    assert isinstance(not_there("route", "zzz", []), NotThere)
