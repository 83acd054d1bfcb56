import json
from typing import Any

import pytest
from tritonclient.grpc import service_pb2

from gateway.core.call import Operation, Protocol
from gateway.upstreams.merge import merge, merge_index, merge_statistics

A = [{"name": "m", "version": "1", "state": "READY"}, {"name": "x"}]
B = [
    {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "unloaded"},
    {"name": "m", "version": "2", "state": "READY"},
    {"name": "x", "version": "1", "state": "READY"},
    {"name": "never"},
]
MERGED = [
    {"name": "m", "version": "1", "state": "READY"},
    {"name": "m", "version": "2", "state": "READY"},
    {"name": "x", "version": "1", "state": "READY"},
    {"name": "never"},
]


def by_name(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return sorted(rows, key=lambda row: (row["name"], row.get("version", "")))


@pytest.mark.parametrize("indexes", [[A, B], [B, A], [A, B, B]])
def test_ready_anywhere_is_ready(indexes: list[list[dict[str, str]]]) -> None:
    assert by_name(merge_index(indexes)) == by_name(MERGED)


def statistics(count: int, last: int) -> dict[str, Any]:
    duration = {"count": count, "ns": 10 * count}
    return {
        "model_stats": [
            {
                "name": "m",
                "version": "1",
                "last_inference": last,
                "inference_count": count,
                "inference_stats": {"success": duration, "queue": duration},
                "batch_stats": [{"batch_size": count, "compute_infer": duration}, {"batch_size": 8}],
                "memory_usage": [{"type": "GPU", "id": 0, "byte_size": count}],
                "response_stats": {"0": {"success": duration}},
            }
        ]
    }


def test_counts_and_times_add_up() -> None:
    (row,) = merge_statistics([statistics(1, 50), statistics(2, 40)])["model_stats"]
    three = {"count": 3, "ns": 30}
    assert row == {
        "name": "m",
        "version": "1",
        "last_inference": 50,
        "inference_count": 3,
        "inference_stats": {"success": three, "queue": three},
        "batch_stats": [
            {"batch_size": 1, "compute_infer": {"count": 1, "ns": 10}},
            {"batch_size": 8},
            {"batch_size": 2, "compute_infer": {"count": 2, "ns": 20}},
        ],
        "memory_usage": [{"type": "GPU", "id": 0, "byte_size": 3}],
        "response_stats": {"0": {"success": three}},
    }


def test_models_of_one_endpoint_alone_stay_as_they_are() -> None:
    one, other = statistics(1, 5), statistics(2, 6)
    other["model_stats"][0]["version"] = "2"
    merged = merge_statistics([one, other])["model_stats"]
    assert merged == one["model_stats"] + other["model_stats"]


def test_http_bodies_are_json() -> None:
    body = merge(Protocol.HTTP, Operation.REPOSITORY_INDEX, [json.dumps(A).encode(), json.dumps(B).encode()])
    assert by_name(json.loads(body)) == by_name(MERGED)
    body = merge(
        Protocol.HTTP,
        Operation.MODEL_STATISTICS,
        [json.dumps(statistics(1, 5)).encode(), json.dumps(statistics(2, 5)).encode()],
    )
    assert json.loads(body)["model_stats"][0]["inference_count"] == 3


def test_grpc_bodies_are_messages() -> None:
    indexes = [service_pb2.RepositoryIndexResponse(models=rows).SerializeToString() for rows in (A, B)]
    merged = service_pb2.RepositoryIndexResponse.FromString(merge(Protocol.GRPC, Operation.REPOSITORY_INDEX, indexes))
    assert {(row.name, row.version, row.state) for row in merged.models} == {
        ("m", "1", "READY"),
        ("m", "2", "READY"),
        ("x", "1", "READY"),
        ("never", "", ""),
    }
    bodies = [service_pb2.ModelStatisticsResponse(**statistics(n, 50)).SerializeToString() for n in (1, 2)]
    stats = service_pb2.ModelStatisticsResponse.FromString(merge(Protocol.GRPC, Operation.MODEL_STATISTICS, bodies))
    (row,) = stats.model_stats
    assert (row.inference_count, row.last_inference, row.inference_stats.success.ns) == (3, 50, 30)
    assert {batch.batch_size: batch.compute_infer.count for batch in row.batch_stats} == {1: 1, 2: 2, 8: 0}
    assert row.response_stats["0"].success.count == 3
    assert row.memory_usage[0].byte_size == 3


@pytest.mark.parametrize("protocol", Protocol)
@pytest.mark.parametrize("operation", [Operation.REPOSITORY_INDEX, Operation.MODEL_STATISTICS])
@pytest.mark.parametrize("body", [b"\xff\xff", b"7", b'[{"x":1}]', b'{"model_stats":[7]}'])
def test_what_is_no_such_answer_is_said(protocol: Protocol, operation: Operation, body: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        merge(protocol, operation, [body, body])
