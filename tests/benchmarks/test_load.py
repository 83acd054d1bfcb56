from pathlib import Path

import pytest

from benchmarks.load import (
    Load,
    LoadError,
    connections_and_streams,
    parse_h2load,
    parse_perf_analyzer,
    parse_wrk,
    percentile,
    wrk_script,
)
from benchmarks.payloads import identity_request

WRK = """Running 1s test @ http://127.0.0.1:1/
  1 threads and 16 connections
JSON {"requests": 1000, "us": 2000000, "bytes": 90000, "p50": 150, "p90": 300, "p99": 1500, "errors": 2}
"""
H2LOAD = """finished in 500.00ms, 3144.00 req/s, 525.28KB/s
requests: 5 total, 6 started, 5 done, 4 succeeded, 1 failed, 1 errored, 0 timeout
status codes: 4 2xx, 0 3xx, 0 4xx, 0 5xx
traffic: 525.28KB (537885) total, 334.66KB (342696) headers (space savings 39.78%), 30.70KB (31440) data
"""
LOG = "1\t200\t100\n2\t200\t300\n3\t200\t200\n4\t200\t400\n"
PERF = "Concurrency,Inferences/Second,p50 latency,p90 latency,p95 latency,p99 latency\n1,2000,480,500,510,900\n"


def test_wrk() -> None:
    assert parse_wrk(WRK) == Load(1000, 2.0, 0.15, 0.3, 1.5, 2, 90000)


def test_wrk_without_a_result_says_what_it_said() -> None:
    with pytest.raises(LoadError, match="unable to connect"):
        parse_wrk("unable to connect to 127.0.0.1")


def test_the_wrk_script_sends_the_headers_of_the_message() -> None:
    message = identity_request("binary", 4000)
    script = wrk_script(message, Path("/a/body"))
    assert 'io.open("/a/body", "rb")' in script
    assert f'wrk.headers["inference-header-content-length"] = "{message.head_len}"' in script


def test_h2load() -> None:
    found = parse_h2load(H2LOAD, LOG)
    assert found == Load(requests=4, seconds=0.5, p50_ms=0.2, p90_ms=0.4, p99_ms=0.4, errors=1, bytes_read=31440)


def test_h2load_without_a_result() -> None:
    with pytest.raises(LoadError, match="no result"):
        parse_h2load("nobody there", "")


def test_perf_analyzer() -> None:
    assert parse_perf_analyzer(PERF, "Request count: 5\nRequest count: 600\n") == Load(
        requests=600, seconds=0.3, p50_ms=0.48, p90_ms=0.5, p99_ms=0.9, errors=0, bytes_read=0
    )


@pytest.mark.parametrize(("concurrency", "expected"), [(1, (1, 1)), (16, (4, 4)), (64, (8, 8)), (128, (16, 8))])
def test_grpc_requests_are_spread_over_connections(concurrency: int, expected: tuple[int, int]) -> None:
    assert connections_and_streams(concurrency) == expected


@pytest.mark.parametrize(("percent", "expected"), [(0, 1), (50, 2), (75, 3), (99, 4), (100, 4)])
def test_percentile(percent: float, expected: float) -> None:
    assert percentile([1, 2, 3, 4], percent) == expected


def test_percentile_of_nothing() -> None:
    assert percentile([], 50) == 0
