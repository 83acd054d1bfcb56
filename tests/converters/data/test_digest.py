from __future__ import annotations

import numpy as np

from converters.data.digest import digest_of

X = np.arange(6, dtype=np.float32)


def test_all_that_a_model_can_see_counts() -> None:
    digests = {
        digest_of([{"x": X}]),
        digest_of([{"x": X}, {"x": X}]),
        digest_of([{"y": X}]),
        digest_of([{"x": X.reshape(2, 3)}]),
        digest_of([{"x": X.astype(np.float64)}]),
        digest_of([{"x": X + 1}]),
        digest_of([]),
    }
    assert len(digests) == 7
    assert all(len(digest) == 64 for digest in digests)


def test_order_of_inputs_and_of_memory_does_not_count() -> None:
    assert digest_of([{"x": X, "y": X}]) == digest_of([{"y": X, "x": X}])
    table = X.reshape(2, 3)
    assert digest_of([{"x": table}]) == digest_of([{"x": np.asfortranarray(table)}])


def test_strings_keep_their_boundaries() -> None:
    assert digest_of([{"x": np.array([b"ab", b"c"], object)}]) != digest_of([{"x": np.array([b"a", b"bc"], object)}])


def test_arrays_without_elements_or_dimensions() -> None:
    assert digest_of([{"x": np.zeros((0, 3), np.float32)}]) != digest_of([{"x": np.float32(1).reshape(())}])
