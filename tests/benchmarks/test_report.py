from typing import Any

from benchmarks.report import render

MACHINE = {
    "date": "2026-01-02 03:04 UTC",
    "commit": "abc1234",
    "changed": False,
    "cpu": "A processor",
    "cores": 2,
    "memory_gib": 23.4,
    "kernel": "6.1",
    "python": "3.11.7",
    "packages": {"grpcio": "1.85.1"},
    "tools": {"wrk": "4.1.0"},
    "load_before": 0.1,
}


def part(**found: Any) -> dict[str, Any]:
    return {"machine": MACHINE, "settings": {"quick": False, "rounds": 3, "seconds": 3.0}, "missing": {}, **found}


def cell(engine: str, cpu: float | None, failure: str = "", **row: Any) -> dict[str, Any]:
    measured: dict[str, Any] = {
        "requests": 9,
        "per_second": 1000.0,
        "p50_ms": 1.0,
        "p90_ms": 2.0,
        "p99_ms": 3.0,
        "cpu_us": cpu,
    }
    measured |= {"peak_rss": 2**20, "peak_pss": 2**20, "failure": failure}
    return {
        "upstream": "null",
        "engine": engine,
        "kind": "json",
        "size": "4 KB",
        "concurrency": 16,
        **row,
        "rounds": [measured],
    }


def test_every_part_has_its_section_and_its_verdict() -> None:
    call = {"upstream": "triton", "tool": "wrk", "kind": "json"}
    fast, slow = ([{"p50_ms": ms, "p99_ms": 1.0, "failure": ""}] for ms in (0.1, 0.4))
    score = [{"per_second": 95.0, "p50_ms": 1.0, "p99_ms": 2.0, "failure": ""}]
    alone = [{"per_second": 100.0, "p50_ms": 1.0, "p99_ms": 2.0, "failure": ""}]
    held = {"engine": "gateway", "kind": "grpc", "failure": "", "before": 2**20, "peak": 150 * 2**20, "peak_pss": 2**20}
    idle = {"engine": "gateway", "kind": "json", "failure": "", "connections": 10_000, "open": 10_000}
    text = render(
        {
            "proxies": part(cells=[cell("direct", None), cell("gateway", 50.0), cell("envoy", 100.0)]),
            "latency": part(
                rows=[{"engine": "direct", "rounds": fast, **call}, {"engine": "gateway", "rounds": slow, **call}]
            ),
            "memory": part(rows=[{**held, "samples": [[0.0, 2**20, 2**20], [1.0, 2**27, 2**27]]}]),
            "idle": part(rows=[{**idle, "before": 0, "after": 100 * 2**20}]),
            "chain": part(rows=[{"protocol": "HTTP", "policies": "the whole chain", "us": [1.0], "added_us": 4.2}]),
            "models": part(
                count=1000,
                rows=[
                    {"engine": "triton", "start": 20.0, "index": 0.01, "change": 0.02},
                    {"engine": "gateway", "start": 22.5, "index": 0.02, "change": 1.52},
                ],
            ),
            "peers": part(
                cells=[
                    {"model": "m", "engine": "onnxruntime", "kind": "call", "concurrency": 64, "rounds": alone},
                    {"model": "m", "engine": "gateway", "kind": "json", "concurrency": 64, "rounds": score},
                    {"model": "m", "engine": "kserve", "kind": "json", "concurrency": 64, "rounds": score},
                ]
            ),
        },
        {"cpu"},
    )
    assert "| HTTP, JSON, CPU per request against Envoy's, null upstream | ≤ 1x | 0.50x (from 0.50 to 0.50) |" in text
    assert "| HTTP, JSON, added median latency by wrk | < 0.4 ms | 0.300 ms |" in text
    assert "| gRPC, worker's peak memory, 128 x 600 KB | < 200 MiB | 150 MiB |" in text
    assert "| HTTP, JSON, 10,000 idle connections | < 200 MiB | 100 MiB |" in text
    assert "| HTTP, CPU of the whole policy chain | ≤ 30 us | 4.2 us |" in text
    assert "| 1,000 models, start, more than Triton alone | < 5 s | 2.50 s |" in text
    assert "| gateway | 22.50 | 0.02 | 1.52 |" in text
    assert "throughput of ONNX Runtime alone | ≥ 90% | 95%, best peer kserve 95% |" in text
    assert "images/cpu.svg" in text
    assert "images/peers.svg" not in text
    assert "abc1234" in text


def test_a_failed_cell_is_marked_and_explained() -> None:
    text = render({"proxies": part(cells=[cell("gateway", None, "3 of 9 requests failed")])}, set())
    assert "| 4 KB, 16 at a time | FAILED |" in text
    assert "- gateway (null, json, 4 KB, 16): 3 of 9 requests failed" in text


def test_who_is_missing_is_told_with_the_reason() -> None:
    found = part(cells=[])
    found["missing"] = {"bentoml": "cannot be installed: no wheel"}
    assert "- bentoml: cannot be installed: no wheel" in render({"peers": found}, set())


def test_a_failed_latency_is_a_verdict_too() -> None:
    way = {"upstream": "triton", "tool": "perf_analyzer", "kind": "grpc"}
    fine, failed = [{"p50_ms": 0.1, "failure": ""}], [{"failure": "it ended with status 99"}]
    rows = [{"engine": "direct", "rounds": fine, **way}, {"engine": "gateway", "rounds": failed, **way}]
    text = render({"latency": part(rows=rows)}, set())
    assert "| gRPC, added median latency by perf_analyzer | < 0.8 ms | FAILED |" in text
    assert "- gateway, perf_analyzer, grpc: it ended with status 99" in text
