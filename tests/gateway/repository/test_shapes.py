import pytest

from gateway.repository.shapes import fits, parse_shape, show


@pytest.mark.parametrize(
    "written",
    [
        [-1, 3, 224, 224],
        ("N", 3, "224", 224),
        [None, 3, 224, 224],
        ["?", 3, 224, 224],
        ["batch_size", 3, 224, 224],
        "-1,3,224,224",
        "[N, 3, 224, 224]",
        "(None, 3, 224, 224)",
        "-1x3x224x224",
        "?x3x224x224",
        "N x 3 x 224 x 224",
        "*,3,224,224",
    ],
)
def test_every_usual_way_to_write_a_shape_is_understood(written: object) -> None:
    assert parse_shape(written) == (-1, 3, 224, 224)


def test_short_shapes_are_understood() -> None:
    assert parse_shape("") == parse_shape([]) == parse_shape("[]") == ()
    assert parse_shape(7) == parse_shape("7") == parse_shape("(7,)") == (7,)
    assert parse_shape("-1") == parse_shape("max_length") == (-1,)


@pytest.mark.parametrize("written", [[0], [-2], "3,,4", "1x", [True], [1.5], 2.5, None, {"a": 1}, "3 4"])
def test_what_is_no_shape_is_refused_with_an_example(written: object) -> None:
    with pytest.raises(ValueError, match=r"is no shape; write sizes of 1 or more, .* such as \[-1, 3, 224, 224\]"):
        parse_shape(written)


def test_a_shape_fits_where_the_model_fixes_nothing_else() -> None:
    assert fits((2, 3), (-1, 3))
    assert fits((-1, 3), (-1, 3))
    assert not fits((-1, 3), (2, 3))
    assert not fits((2, 3, 1), (-1, 3))
    assert fits((), ())
    assert fits((1,), ())
    assert not fits((2,), ())


def test_a_shape_is_shown_as_a_list() -> None:
    assert show((-1, 3)) == "[-1, 3]"
    assert show(()) == "[]"
