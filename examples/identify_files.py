#!/usr/bin/env python3
"""Tell what files contain, from their bytes alone: a client of the `magika` model.

    python examples/identify_files.py README.md /bin/ls     # files
    python examples/identify_files.py ~/Downloads           # every file in a folder

Each file is one request, and many are on their way at a time: Triton puts them together into batches. The model's
2048 integers are the beginning and the end of the file; the labels come from the server.

Needs `pip install tritonclient[all]`, and nothing of the gateway.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import tritonclient.grpc.aio
import tritonclient.http.aio
from tritonclient.utils import InferenceServerException

PORTS = {"http": 8080, "grpc": 8081}
BLOCK = 4096  # bytes read at each end, before white space is stripped
PART = 1024  # bytes of each end that the model sees
PADDING = 256  # stands for no byte
SHORTEST = 8  # bytes, after white space is stripped; the model is not made for less
AT_A_TIME = 32  # requests on their way


def read_features(path: Path) -> npt.NDArray[np.int32] | None:
    """What the model wants to know of a file: int32 [2048]; None if the file is too short to tell."""
    with path.open("rb") as file:
        beginning = file.read(BLOCK)
        file.seek(max(0, path.stat().st_size - BLOCK))
        end = file.read(BLOCK)
    first, last = beginning.lstrip()[:PART], end.rstrip()[-PART:]
    if len(first) < SHORTEST:
        return None
    features = np.full(2 * PART, PADDING, np.int32)
    features[: len(first)] = np.frombuffer(first, np.uint8)
    features[2 * PART - len(last) :] = np.frombuffer(last, np.uint8)
    return features


async def identify(paths: Sequence[Path], protocol: str, url: str) -> list[tuple[str, float]]:
    """The type of each file, and how sure the model is, from 0 to 1."""
    triton = tritonclient.grpc.aio if protocol == "grpc" else tritonclient.http.aio
    slots = asyncio.Semaphore(AT_A_TIME)
    async with triton.InferenceServerClient(url) as client:

        async def ask(path: Path) -> tuple[str, float]:
            async with slots:
                features = await asyncio.to_thread(read_features, path)
                if features is None:
                    return "too short to tell", 1.0
                tensor = triton.InferInput("bytes", [1, len(features)], "INT32")
                tensor.set_data_from_numpy(features[np.newaxis])
                # With class_count the server gives the most likely classes as "PROBABILITY:INDEX:LABEL".
                output = triton.InferRequestedOutput("target_label", class_count=1)
                result = await client.infer("magika", [tensor], outputs=[output])
            probability, _, label = result.as_numpy("target_label")[0, 0].decode().split(":")
            return label, float(probability)

        return await asyncio.gather(*map(ask, paths))


def find_files(paths: Sequence[Path]) -> list[Path]:
    """The files that were named, and all files below the folders that were named."""
    found: list[Path] = []
    for path in paths:
        found += sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    return found


def main() -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description="Tell what files contain.")
    parser.add_argument("paths", nargs="+", type=Path, metavar="PATH", help="a file or a folder")
    parser.add_argument("--protocol", choices=PORTS, default="grpc")
    parser.add_argument("--url", help="HOST:PORT of the gateway; default: localhost, 8080 for HTTP and 8081 for gRPC")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    options = parser.parse_args()
    url = options.url or f"localhost:{PORTS[options.protocol]}"
    files = find_files(options.paths)
    try:
        types = asyncio.run(identify(files, options.protocol, url))
    except InferenceServerException as error:
        sys.exit(f"magika at {url} did not answer: {error}")
    except OSError as error:
        sys.exit(f"{error.filename or f'magika at {url}'}: {error.strerror or error}")
    if options.json:
        answers = zip(files, types, strict=True)
        rows = [{"file": str(file), "label": label, "score": score} for file, (label, score) in answers]
        print(json.dumps({"files": rows}))
        return
    width = max((len(str(file)) for file in files), default=0)
    for file, (label, score) in zip(files, types, strict=True):
        print(f"{file!s:<{width}}  {label:<14} {score:6.1%}")
    if len(files) > 1:
        counts = Counter(label for label, _ in types).most_common()
        print(f"{len(files)} files: " + ", ".join(f"{count} {label}" for label, count in counts))


if __name__ == "__main__":
    main()
