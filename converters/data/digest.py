"""One digest for data, whatever it was read from."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import numpy as np

from converters.arrays import Feeds


def digest_of(batches: Iterable[Feeds]) -> str:
    """SHA-256 in lower-case hex over names, types, shapes and contents, batch by batch; names in any order."""
    total = hashlib.sha256()
    for feeds in batches:
        total.update(b"batch\n")
        for name in sorted(feeds):
            array = feeds[name]
            total.update(f"{len(name)} {name} {array.dtype.str} {array.shape}\n".encode())
            if array.dtype == object:
                for element in array.flat:
                    content = element if isinstance(element, bytes) else str(element).encode()
                    total.update(len(content).to_bytes(8, "little") + content)
            else:
                total.update(np.ascontiguousarray(array).view(np.uint8).data if array.size else b"")
    return total.hexdigest()
