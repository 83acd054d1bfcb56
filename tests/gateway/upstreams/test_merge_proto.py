import pytest
from hypothesis import given
from hypothesis import strategies as st
from tritonclient.grpc import service_pb2

from gateway.upstreams.merge_proto import INDEX, STATISTICS, decode, encode

NUMBERS = st.integers(0, 2**64 - 1)
DURATION = st.builds(service_pb2.StatisticDuration, count=NUMBERS, ns=NUMBERS)
MODEL = st.builds(
    service_pb2.ModelStatistics,
    name=st.text(),
    version=st.text(),
    last_inference=NUMBERS,
    inference_count=NUMBERS,
    execution_count=NUMBERS,
    inference_stats=st.builds(
        service_pb2.InferStatistics, success=DURATION, fail=DURATION, queue=DURATION, cache_miss=DURATION
    ),
    batch_stats=st.lists(
        st.builds(service_pb2.InferBatchStatistics, batch_size=NUMBERS, compute_infer=DURATION), max_size=3
    ),
    memory_usage=st.lists(
        st.builds(service_pb2.MemoryUsage, type=st.text(), id=st.integers(-5, 5), byte_size=NUMBERS), max_size=2
    ),
    response_stats=st.dictionaries(
        st.text(), st.builds(service_pb2.InferResponseStatistics, success=DURATION, cancel=DURATION), max_size=2
    ),
)


@given(st.lists(MODEL, max_size=3))
def test_statistics_survive(models: list[service_pb2.ModelStatistics]) -> None:
    message = service_pb2.ModelStatisticsResponse(model_stats=models)
    again = encode(decode(message.SerializeToString(), STATISTICS), STATISTICS)
    assert service_pb2.ModelStatisticsResponse.FromString(again) == message


@given(st.lists(st.tuples(st.text(), st.text(), st.text(), st.text())))
def test_indexes_survive(rows: list[tuple[str, str, str, str]]) -> None:
    names = ("name", "version", "state", "reason")
    message = service_pb2.RepositoryIndexResponse(models=[dict(zip(names, row, strict=True)) for row in rows])
    again = encode(decode(message.SerializeToString(), INDEX), INDEX)
    assert service_pb2.RepositoryIndexResponse.FromString(again) == message


def test_unknown_fields_are_left_out() -> None:
    assert decode(b"\x50\x01\x0a\x03\x0a\x01m", INDEX) == {"models": [{"name": "m"}]}


@given(st.binary(max_size=40))
def test_any_bytes_are_a_tree_or_refused(message: bytes) -> None:
    try:
        tree = decode(message, STATISTICS)
    except ValueError:
        return
    assert set(tree) == {"model_stats"}


@pytest.mark.parametrize("message", [b"\x08\x01", b"\x0a\x02\x08\x01", b"\x0a\x05a", b"\x0a\x02\x0a\x01\xff"])
def test_wrong_types_and_broken_messages_are_refused(message: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        decode(message, INDEX)
