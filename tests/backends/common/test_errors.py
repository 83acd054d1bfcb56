from backends.common.errors import LoadError, RequestError, one_line


def test_a_message_is_one_line_however_the_framework_wrote_it() -> None:
    assert str(LoadError("cannot\n  open\tthe file")) == "cannot open the file"


def test_an_error_without_a_text_gives_its_type() -> None:
    assert one_line(ZeroDivisionError()) == "ZeroDivisionError"


def test_a_very_long_message_is_shortened() -> None:
    assert len(one_line("x" * 5000)) < 1100


def test_a_request_error_says_whose_fault_it_is() -> None:
    assert RequestError("bad index", invalid=True).invalid
    assert not RequestError("the model failed").invalid
