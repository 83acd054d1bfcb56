"""The plots of the report, as SVG. Runs in a venv with matplotlib: `python -m benchmarks.plots.draw RESULTS IMAGES`."""

# mypy: disable-error-code="import-not-found"

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.summary import Row, distinct, figure, find, load

_COLOURS = {"gateway": "#76b900", "envoy": "#ac6199", "nginx": "#009639", "grpc.aio": "#888888", "direct": "#333333"}


def cpu(part: Row) -> Any:
    """CPU per request of every proxy by payload, at 16 requests at a time."""
    cells = [c for c in find(part["cells"], concurrency=16) if c["engine"] != "direct"]
    if not cells:
        return None
    kinds, upstreams = distinct(cells, "kind"), distinct(cells, "upstream")
    drawing, axes = plt.subplots(
        len(upstreams), len(kinds), figsize=(4 * len(kinds), 3 * len(upstreams)), squeeze=False
    )
    for line, upstream in zip(axes, upstreams, strict=True):
        for axis, kind in zip(line, kinds, strict=True):
            mine = find(cells, upstream=upstream, kind=kind)
            _bars(axis, mine, "size", "cpu_us")
            axis.set_yscale("log")
            axis.set_title(f"{kind}, {upstream} upstream", fontsize=9)
            axis.set_ylabel("CPU us per request", fontsize=8)
    axes[0][0].legend(fontsize=7)
    return drawing


def memory(part: Row) -> Any:
    """Resident memory of the largest process over time."""
    kinds = distinct(part["rows"], "kind")
    drawing, axes = plt.subplots(1, len(kinds), figsize=(5 * len(kinds), 3), squeeze=False, sharey=True)
    for axis, kind in zip(axes[0], kinds, strict=True):
        for row in find(part["rows"], kind=kind):
            points = [(at, rss / 2**20) for at, rss, _ in row["samples"]]
            if points:
                axis.plot(*zip(*points, strict=True), label=row["engine"], color=_COLOURS.get(row["engine"]), lw=1.2)
        axis.axhline(200, color="#cc0000", lw=0.6, ls="--")
        axis.set_title(f"128 x 600 KB, {kind}", fontsize=9)
        axis.set_xlabel("s", fontsize=8)
        axis.set_ylabel("RSS MiB", fontsize=8)
        axis.legend(fontsize=7)
    return drawing


def peers(part: Row) -> Any:
    """Throughput of every server, as a share of ONNX Runtime alone, at the highest concurrency."""
    models = distinct(part["cells"], "model")
    drawing, axes = plt.subplots(1, len(models), figsize=(6 * len(models), 3.4), squeeze=False)
    most = max(distinct(part["cells"], "concurrency"))
    for axis, model in zip(axes[0], models, strict=True):
        cells = find(part["cells"], model=model, concurrency=most)
        alone = figure(find(cells, engine="onnxruntime")[0]["rounds"], "per_second")
        shares = []
        for row in cells:
            rate = figure(row["rounds"], "per_second")
            if rate and alone and alone.median and row["engine"] != "onnxruntime":
                shares.append((f"{row['engine']} {row['kind']}", rate.median / alone.median * 100))
        shares.sort(key=lambda pair: pair[1])
        colours = ["#76b900" if name.startswith("gateway") else "#9aa5b1" for name, _ in shares]
        axis.barh([name for name, _ in shares], [share for _, share in shares], color=colours)
        axis.axvline(100, color="#333333", lw=0.6)
        axis.set_title(f"{model}, {most} at a time", fontsize=9)
        axis.set_xlabel("% of ONNX Runtime alone", fontsize=8)
        axis.tick_params(labelsize=7)
    return drawing


def _bars(axis: Any, cells: list[Row], group: str, key: str) -> None:
    engines, groups = distinct(cells, "engine"), distinct(cells, group)
    width = 0.8 / max(1, len(engines))
    for number, engine in enumerate(engines):
        heights = []
        for name in groups:
            found = find(cells, engine=engine, **{group: name})
            value = figure(found[0]["rounds"], key) if found else None
            heights.append(value.median if value and not value.failure else 0)
        places = [at + number * width for at in range(len(groups))]
        axis.bar(places, heights, width, label=engine, color=_COLOURS.get(engine))
    axis.set_xticks([at + 0.4 - width / 2 for at in range(len(groups))], groups)
    axis.tick_params(labelsize=7)


def main(results: Path, images: Path) -> None:
    """Draw what can be drawn."""
    mpl.rcParams["svg.hashsalt"] = "triton-gateway"  # the same results give the same file
    images.mkdir(parents=True, exist_ok=True)
    parts = load(results)
    for name, part, draw in (("cpu", "proxies", cpu), ("memory", "memory", memory), ("peers", "peers", peers)):
        if parts.get(part, {}).get("cells") or parts.get(part, {}).get("rows"):
            drawing = draw(parts[part])
            if drawing is not None:
                drawing.tight_layout()
                drawing.savefig(images / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
