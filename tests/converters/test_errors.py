from converters.errors import FAILED, GATE_FAILED, MISUSED, BadData, ConfigError, GateFailed, Place, first_line


def test_an_error_says_where_what_and_the_way_out() -> None:
    error = BadData("3 of 8 samples hold NaN", hint="clean the data", place=Place(node="x"))
    assert str(error.at(model="pitch", step="int8")) == "pitch, int8, node x: 3 of 8 samples hold NaN; clean the data"
    assert str(BadData("there is none", hint="give some")) == "there is none; give some"


def test_who_raised_it_knew_the_place_best() -> None:
    error = BadData("wrong", hint="mend it", place=Place(step="calibrate"))
    assert error.at(model="a", step="int8").at(model="b").place == Place("a", "calibrate", "")


def test_exit_codes_tell_gates_misuse_and_failures_apart() -> None:
    codes = [kind("x", hint="y").exit_code for kind in (BadData, ConfigError, GateFailed)]
    assert codes == [FAILED, MISUSED, GATE_FAILED]


def test_of_what_a_library_says_the_first_line_is_told() -> None:
    assert first_line(ValueError("\n  it is wrong.\nmore\n")) == "it is wrong"
    assert first_line(ValueError()) == "ValueError"
    assert len(first_line(ValueError("x" * 1000))) == 300
