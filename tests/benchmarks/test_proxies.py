import pytest

from benchmarks.load import Load, LoadError
from benchmarks.proxies import CONCURRENCIES, SIZES, cells, check, failure


def seen(requests: int = 10, errors: int = 0, bytes_read: int = 1000) -> Load:
    return Load(requests, 1.0, 1.0, 1.0, 1.0, errors, bytes_read)


def test_every_size_and_concurrency_is_measured() -> None:
    every = cells(quick=False)
    assert {cell.size for cell in every} == set(SIZES)
    assert {cell.concurrency for cell in every} == set(CONCURRENCIES)
    assert {cell.kind for cell in every} == {"json", "binary", "grpc"}


def test_a_glance_is_short() -> None:
    assert len(cells(quick=True)) <= 4


@pytest.mark.parametrize(
    ("load", "expected"),
    [
        (seen(), ""),
        (seen(errors=1), "1 of 11 requests failed"),
        (seen(requests=0), "no request was answered in time"),
        (seen(bytes_read=999), "10 answers of 100 bytes cannot be 999 bytes"),
    ],
)
def test_one_wrong_answer_fails_a_measurement(load: Load, expected: str) -> None:
    assert failure(load, 100) == expected


def test_another_answer_than_the_upstreams_is_told() -> None:
    with pytest.raises(LoadError, match="answered 2 bytes b'no' instead of 3 b'yes'"):
        check(b"no", b"yes")
