"""The sections of the report, one function each: results in, Markdown out. Pure."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.summary import Row, added_latency, distinct, figure, find, ratios, share_of_alone, short, table, told

_MIB = 2**20
_TOOLS = {"json": "HTTP, JSON", "binary": "HTTP, binary tensors", "grpc": "gRPC"}


def machine(parts: dict[str, Row]) -> str:
    """What each part was measured on."""
    rows, machines = [], dict.fromkeys(_hardware(part["machine"]) for part in parts.values())
    for name, part in parts.items():
        m, s = part["machine"], part["settings"]
        commit = m["commit"] + (" and uncommitted changes" if m["changed"] else "")
        rounds = f"{s['rounds']} of {s['seconds']:g} s" + (", **quick**" if s["quick"] else "")
        rows.append((name, m["date"], commit, rounds, str(m["load_before"])))
    listed = "\n".join(f"- {hardware}" for hardware in machines)
    return f"{listed}\n\n" + table(("part", "date", "commit", "rounds", "load average before"), rows)


def _hardware(m: Row) -> str:
    versions = {"Python": m["python"], **m["packages"], **m["tools"]}
    software = ", ".join(f"{what} {version}" for what, version in versions.items())
    return f"{m['cpu']}, {m['cores']} cores, {m['memory_gib']:.0f} GiB, Linux {m['kernel']}; {software}"


def missing(part: Row) -> list[str]:
    """Who does not take part in what, and why."""
    if not part.get("missing"):
        return []
    return ["Not measured:", "\n".join(f"- {name}: {reason}" for name, reason in part["missing"].items())]


Verdict = tuple[str, str, str]
"""What is asked for, the target, and what was measured."""


def verdicts(parts: dict[str, Row]) -> str:
    """Each target with what was measured."""
    rows = [verdict for name, judge in _JUDGES.items() if name in parts for verdict in judge(parts[name])]
    return table(("", "target", "measured"), rows) if rows else ""


def _cpu_verdicts(part: Row) -> list[Verdict]:
    found = []
    for upstream in distinct(part["cells"], "upstream"):
        for kind in distinct(part["cells"], "kind"):
            mine = find(part["cells"], upstream=upstream, kind=kind)
            ordered = sorted(ratio for _, ratio in ratios(mine, "gateway", "envoy", "cpu_us"))
            if ordered:
                limit = "≤ 3x" if kind == "grpc" else "≤ 1x"
                measured = f"{ordered[len(ordered) // 2]:.2f}x (from {ordered[0]:.2f} to {ordered[-1]:.2f})"
                found.append((f"{_TOOLS[kind]}, CPU per request against Envoy's, {upstream} upstream", limit, measured))
    return found


def _latency_verdicts(part: Row) -> list[Verdict]:
    found = []
    for kind, limit in (("json", "< 0.4 ms"), ("grpc", "< 0.8 ms")):
        for tool in ("perf_analyzer", "wrk", "h2load"):
            added = added_latency(part["rows"], "triton", tool, kind, "gateway")
            if find(part["rows"], upstream="triton", tool=tool, kind=kind, engine="gateway"):
                measured = "FAILED" if added is None else f"{added:.3f} ms"
                found.append((f"{_TOOLS[kind]}, added median latency by {tool}", limit, measured))
    return found


def _memory_verdicts(part: Row) -> list[Verdict]:
    return [
        (
            f"{_TOOLS[row['kind']]}, worker's peak memory, 128 x 600 KB",
            "< 200 MiB",
            "FAILED" if row["failure"] else f"{row['peak'] / _MIB:.0f} MiB",
        )
        for row in find(part["rows"], engine="gateway")
    ]


def _idle_verdicts(part: Row) -> list[Verdict]:
    return [
        (
            f"{_TOOLS[row['kind']]}, {row['connections']:,} idle connections",
            "< 200 MiB",
            "FAILED" if row["failure"] else f"{(row['after'] - row['before']) / _MIB:.0f} MiB",
        )
        for row in find(part["rows"], engine="gateway")
    ]


def _chain_verdicts(part: Row) -> list[Verdict]:
    return [
        (f"{row['protocol']}, CPU of the whole policy chain", "≤ 30 us", f"{row['added_us']:.1f} us")
        for row in find(part["rows"], policies="the whole chain")
    ]


def _model_verdicts(part: Row) -> list[Verdict]:
    triton, gateway = (find(part["rows"], engine=engine)[0] for engine in ("triton", "gateway"))
    return [
        (f"{part['count']:,} models, {what}, more than Triton alone", "< 5 s", f"{gateway[what] - triton[what]:.2f} s")
        for what in ("start", "index", "change")
    ]


def _peer_verdicts(part: Row) -> list[Verdict]:
    found = []
    most = max(distinct(part["cells"], "concurrency"), default=0)
    for model in distinct(part["cells"], "model"):
        cells = find(part["cells"], model=model, concurrency=most)
        for ours in find(cells, engine="gateway"):
            share = share_of_alone(ours, cells)
            rivals = [row for row in find(cells, kind=ours["kind"]) if row["engine"] in _PEERS]
            ranked = sorted((share_of_alone(row, cells) or 0.0, row["engine"]) for row in rivals)
            than = f", best peer {ranked[-1][1]} {ranked[-1][0]:.0%}" if ranked else ""
            what = f"{model}, {_TOOLS[ours['kind']]}, {most} at a time: throughput of ONNX Runtime alone"
            found.append((what, "≥ 90%", (f"{share:.0%}" if share else "FAILED") + than))
    return found


_PEERS = ("mlserver", "litserve", "bentoml", "kserve")
_JUDGES: dict[str, Callable[[Row], list[Verdict]]] = {
    "proxies": _cpu_verdicts,
    "latency": _latency_verdicts,
    "memory": _memory_verdicts,
    "idle": _idle_verdicts,
    "chain": _chain_verdicts,
    "models": _model_verdicts,
    "peers": _peer_verdicts,
}


def proxies(part: Row) -> list[str]:
    """CPU, throughput and latency of every proxy in every cell."""
    pieces = []
    for upstream in distinct(part["cells"], "upstream"):
        for kind in distinct(part["cells"], "kind"):
            cells = find(part["cells"], upstream=upstream, kind=kind)
            if cells:
                pieces.append(f"### {_TOOLS[kind]}, {upstream} upstream")
                pieces += _tables(cells)
    return pieces + _failures(part["cells"])


def _tables(cells: list[Row]) -> list[str]:
    engines = distinct(cells, "engine")
    wanted: tuple[tuple[str, str, Callable[[Row], str], list[str]], ...] = (
        ("CPU us per request", "cpu_us", partial(_cell, "cpu_us"), [e for e in engines if e != "direct"]),
        ("requests/s", "per_second", partial(_cell, "per_second"), engines),
        ("p50 / p90 / p99 ms", "p50_ms", _latency, engines),
        ("peak PSS, MiB", "peak_pss", _pss, [e for e in engines if e != "direct"]),
    )
    pieces = []
    for title, _, form, columns in wanted:
        rows = []
        for size in distinct(cells, "size"):
            for concurrency in distinct(cells, "concurrency"):
                found = {row["engine"]: row for row in find(cells, size=size, concurrency=concurrency)}
                if found:
                    values = [form(found[e]) if e in found else "" for e in columns]
                    rows.append((f"{size}, {concurrency} at a time", *values))
        pieces.append(table((title, *columns), rows))
    return pieces


def _cell(key: str, row: Row) -> str:
    return told(figure(row["rounds"], key), short)


def _latency(row: Row) -> str:
    values = [figure(row["rounds"], key) for key in ("p50_ms", "p90_ms", "p99_ms")]
    if any(value is None or value.failure for value in values):
        return "FAILED"
    return " / ".join(short(value.median) for value in values if value)


def _pss(row: Row) -> str:
    value = figure(row["rounds"], "peak_pss")
    return told(value, lambda number: f"{number / _MIB:.0f}")


def _failures(cells: list[Row]) -> list[str]:
    found = []
    for cell in cells:
        value = figure(cell["rounds"], "per_second")
        if value and value.failure:
            where = ", ".join(str(cell[k]) for k in ("upstream", "model", "kind", "size", "concurrency") if k in cell)
            found.append(f"- {cell['engine']} ({where}): {value.failure[:300]}")
    return ["Failed:", "\n".join(found)] if found else []


def latency(part: Row) -> list[str]:
    """The median latency of one request at a time, and what each proxy adds to the upstream's own."""
    pieces = []
    for upstream in distinct(part["rows"], "upstream"):
        rows = []
        mine = find(part["rows"], upstream=upstream)
        engines = distinct(mine, "engine")
        for tool, kind in dict.fromkeys((row["tool"], row["kind"]) for row in mine):
            found = {row["engine"]: row for row in find(mine, tool=tool, kind=kind)}
            values = []
            for engine in engines:
                added = added_latency(mine, upstream, tool, kind, engine)
                own = told(figure(found[engine]["rounds"], "p50_ms"), lambda ms: f"{ms:.3f}") if engine in found else ""
                values.append(own if added is None or engine == "direct" else f"{own} (+{added:.3f})")
            rows.append((f"{_TOOLS[kind]}, {tool}", *values))
        pieces += [f"### {upstream} upstream", table(("p50 ms", *engines), rows)]
    failed = [
        f"- {row['engine']}, {row['tool']}, {row['kind']}: {value.failure[:300]}"
        for row in part["rows"]
        if (value := figure(row["rounds"], "p50_ms")) and value.failure
    ]
    return pieces + (["Failed:", "\n".join(failed)] if failed else [])


def memory(part: Row) -> list[str]:
    """The largest process of each proxy under load."""
    rows: list[tuple[str, ...]] = []
    for row in part["rows"]:
        if row["failure"]:
            rows.append((f"{row['engine']}, {_TOOLS[row['kind']]}", "", f"FAILED: {row['failure'][:200]}", "", ""))
            continue
        half = [rss for at, rss, _ in row["samples"] if at > row["samples"][-1][0] / 2]
        values = (row["before"], row["peak"], max(half, default=0), row["peak_pss"])
        mib = (f"{value / _MIB:.0f}" for value in values)
        rows.append((f"{row['engine']}, {_TOOLS[row['kind']]}", *mib))
    header = ("RSS of the largest process, MiB", "before", "peak", "peak of the second half", "peak PSS of all")
    return [table(header, rows)]


def idle(part: Row) -> list[str]:
    """What open connections cost."""
    rows = []
    for row in part["rows"]:
        name = f"{row['engine']}, {_TOOLS[row['kind']]}"
        if row["failure"]:
            rows.append((name, f"{row['connections']:,}", "", "", f"FAILED: {row['failure'][:200]}"))
            continue
        more = (row["after"] - row["before"]) / _MIB
        rows.append((name, f"{row['open']:,}", f"{row['before'] / _MIB:.0f}", f"{more:.0f}", _each(row)))
    return [table(("RSS", "open connections", "before, MiB", "more, MiB", "KiB each"), rows)]


def _each(row: Row) -> str:
    return f"{(row['after'] - row['before']) / 1024 / row['connections']:.1f}"


def chain(part: Row) -> list[str]:
    """What policies cost."""
    rows = [(f"{row['protocol']}, {row['policies']}", f"{row['added_us']:.2f}") for row in part["rows"]]
    return [table(("policies", "added CPU us per call"), rows)]


def models(part: Row) -> list[str]:
    """What many models cost."""
    rows = [(row["engine"], *(f"{row[what]:.2f}" for what in ("start", "index", "change"))) for row in part["rows"]]
    return [table((f"{part['count']:,} models, seconds", "start", "index", "one change"), rows)]


def peers(part: Row) -> list[str]:
    """Throughput as a share of ONNX Runtime's own, and latency."""
    pieces = []
    for model in distinct(part["cells"], "model"):
        cells = find(part["cells"], model=model)
        counts = distinct(cells, "concurrency")
        rows = []
        for engine in distinct(cells, "engine"):
            for kind in distinct(find(cells, engine=engine), "kind"):
                found = {row["concurrency"]: row for row in find(cells, engine=engine, kind=kind)}
                values = []
                for count in counts:
                    share = share_of_alone(found[count], cells)
                    rate = told(figure(found[count]["rounds"], "per_second"), short)
                    values += [f"{rate} ({share:.0%})" if share else rate, _two(found[count])]
                rows.append((f"{engine}, {kind}", *values))
        header = [head for c in counts for head in (f"{c} at a time: requests/s", "p50 / p99 ms")]
        pieces += [f"### {model}", table(("server", *header), rows)]
    return pieces + _failures(part["cells"])


def _two(row: Row) -> str:
    values = [figure(row["rounds"], key) for key in ("p50_ms", "p99_ms")]
    return "FAILED" if any(v is None or v.failure for v in values) else " / ".join(short(v.median) for v in values if v)


SECTIONS: dict[str, tuple[str, Callable[[Row], list[str]]]] = {
    "proxies": ("Proxies: what one request costs", proxies),
    "latency": ("Added latency, one request at a time", latency),
    "memory": ("Memory under load", memory),
    "idle": ("Idle connections", idle),
    "chain": ("The chain of policies", chain),
    "models": ("Many models in the repository", models),
    "peers": ("Peers: real models end to end", peers),
}
PLOTS = {"proxies": ("cpu",), "memory": ("memory",), "peers": ("peers",)}
