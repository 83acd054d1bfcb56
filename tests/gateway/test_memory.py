import subprocess
import sys

import pytest

from gateway.memory import uninitialised

FAULTS = """
import resource
from gateway.memory import keep_freed, uninitialised

def faults() -> int:
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(50):
        room = uninitialised(8 * 2**20)
        room[::4096] = bytes(len(room) // 4096)
        del room
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

keep_freed()
faults()
print(faults())
"""


def test_the_room_is_a_bytearray_of_that_size() -> None:
    for size in (0, 1, 100, 1 << 20):
        room = uninitialised(size)
        assert type(room) is bytearray
        assert len(room) == size
        room[:] = b"x" * size
        assert room.count(b"x") == size


@pytest.mark.skipif(sys.platform != "linux", reason="page faults are counted as Linux does")
def test_memory_that_was_freed_is_used_again_without_page_faults() -> None:
    said = subprocess.run([sys.executable, "-c", FAULTS], capture_output=True, text=True, check=True)  # own process
    assert int(said.stdout) < 1_000  # of 100,000 pages
