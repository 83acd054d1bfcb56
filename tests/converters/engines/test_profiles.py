from __future__ import annotations

import pytest

from converters.engines.base import Range
from converters.engines.profiles import Batch, Sizes, check_profile, is_placeholder, profiles
from converters.errors import ConfigError, ConversionError, Unsupported
from converters.graph.signature import Signature, Tensor

BATCH = Batch(1, 8, 32)


def taking(**shapes: tuple[int | str, ...] | None) -> Signature:
    return Signature(tuple(Tensor(name, "FP32", shape) for name, shape in shapes.items()), ())


def refused(signature: Signature, shapes: dict[str, dict[int, Sizes]]) -> ConversionError:
    with pytest.raises(ConversionError) as caught:
        profiles(signature, BATCH, shapes)
    return caught.value


def test_nothing_dynamic_needs_no_profile() -> None:
    assert profiles(taking(x=(1, 3, 8, 8)), BATCH, {}) == ()


def test_batch() -> None:
    assert profiles(taking(x=("N", 3), fixed=(2, 2)), BATCH, {}) == ({"x": Range((1, 3), (8, 3), (32, 3))},)


def test_further_dimensions() -> None:
    made = profiles(taking(x=("N", 3, "h", "w")), BATCH, {"x": {2: (32, 64, 96), 3: (32, 64, 128)}})
    assert made == ({"x": Range((1, 3, 32, 32), (8, 3, 64, 64), (32, 3, 96, 128))},)


def test_axis_0_may_be_something_else_than_the_batch() -> None:
    made = profiles(taking(x=("time", 3)), BATCH, {"x": {0: (10, 20, 30)}})
    assert made == ({"x": Range((10, 3), (20, 3), (30, 3))},)


def test_dimensions_of_one_name_share_their_sizes() -> None:
    made = profiles(taking(ids=("N", "tokens"), mask=("N", "tokens")), BATCH, {"ids": {1: (4, 64, 256)}})
    assert made[0]["mask"] == made[0]["ids"] == Range((1, 4), (8, 64), (32, 256))


def test_placeholders_are_no_names() -> None:
    made = profiles(taking(x=("?", 3, "?", "?")), BATCH, {"x": {2: (48, 48, 48), 3: (96, 192, 192)}})
    assert made == ({"x": Range((1, 3, 48, 96), (8, 3, 48, 192), (32, 3, 48, 192))},)
    assert [is_placeholder(name) for name in ("?", "-1", "None", "", "N", "unk__749", "p2o.DynamicDimension.0")] == [
        True, True, True, True, False, False, False,
    ]  # fmt: skip


def test_missing_sizes_show_what_to_write() -> None:
    error = refused(taking(x=("N", 3, "h", "w")), {})
    assert isinstance(error, ConfigError)
    assert "dimension 2 of input x: FP32 [N, 3, h, w] is dynamic" in error.what
    assert "shapes: {x: {2: [1, 64, 128], 3: [1, 64, 128]}}" in error.hint


def test_unknown_input_names_the_nearest() -> None:
    error = refused(taking(input_ids=("N", 3)), {"input_id": {1: (1, 2, 3)}})
    assert "an input 'input_id'" in error.what
    assert error.hint == "did you mean 'input_ids'?"
    assert "'input_ids'" in refused(taking(input_ids=("N", 3)), {"zzz": {}}).hint


@pytest.mark.parametrize(
    ("axes", "said"),
    [
        ({4: (1, 2, 3)}, "axis 4"),
        ({-1: (1, 2, 3)}, "axis -1"),
        ({1: (1, 2, 3)}, "which is always 3"),
        ({2: (3, 2, 1)}, "no min, opt and max"),
        ({2: (0, 2, 3)}, "no min, opt and max"),
    ],
)
def test_wrong_sizes(axes: dict[int, Sizes], said: str) -> None:
    assert said in refused(taking(x=("N", 3, "h", "w")), {"x": axes}).what


def test_a_fixed_dimension_may_be_repeated() -> None:
    assert profiles(taking(x=(1, 3)), BATCH, {"x": {1: (3, 3, 3)}}) == ()


def test_one_name_with_two_sizes() -> None:
    error = refused(taking(a=("N", "t"), b=("N", "t")), {"a": {1: (1, 2, 3)}, "b": {1: (1, 2, 4)}})
    assert "'t' is [1, 2, 3] as dimension 1 of input a" in error.what
    assert "and [1, 2, 4] as dimension 1 of input b" in error.what


def test_unknown_rank() -> None:
    assert "how many dimensions input 'x'" in refused(taking(x=None), {}).what


def test_profile_of_a_caller_may_leave_fixed_inputs_out() -> None:
    signature = taking(x=("N", 3), fixed=(2, 2))
    check_profile(signature, {"x": Range((1, 3), (1, 3), (1, 3))})
    with pytest.raises(Unsupported, match="always 2"):
        check_profile(signature, {"x": Range((1, 3), (1, 3), (1, 3)), "fixed": Range((1, 2), (1, 2), (1, 2))})
