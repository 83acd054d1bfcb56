import os
import subprocess
import sys
import time

from benchmarks.proc import Memory, Stat, cpu_seconds, descendants, memory, parse_rollup, parse_stat, tree, watch_memory

STAT = "42 (a (odd) name) S 7 42 42 0 -1 4194560 10 0 0 0 250 50 3 4 20 0 1 0 100 1000 200"


def test_stat_of_a_process_with_an_odd_name() -> None:
    assert parse_stat(STAT) == Stat(parent=7, ticks=300)


def test_rollup() -> None:
    text = "00400000-7fff ---p 00000000 00:00 0 [rollup]\nRss:     2048 kB\nPss:     1024 kB\nPss_Anon: 3 kB\n"
    assert parse_rollup(text) == (2048 * 1024, 1024 * 1024)


def test_descendants_are_of_all_generations_and_of_one_tree() -> None:
    assert sorted(descendants(1, {2: 1, 3: 2, 4: 3, 9: 8})) == [1, 2, 3, 4]


def test_a_busy_child_counts() -> None:
    code = "import time\nwhile time.process_time() < 0.2: pass\nprint(flush=True); input()"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert child.pid in tree(os.getpid())
        assert 0.15 <= cpu_seconds(child.pid) < 10
        assert memory(child.pid).rss > 2**20
        child.communicate(b"\n")


def test_memory_is_watched_until_the_end() -> None:
    with watch_memory(os.getpid(), 0.01) as watched:
        held = bytearray(32 * 2**20)
        limit = time.monotonic() + 10
        while len(watched.samples) < 3 and time.monotonic() < limit:
            held[0] = 1
    first, peak = watched.samples[0][1], watched.peak
    assert peak.rss - first.rss > 16 * 2**20
    assert isinstance(peak, Memory)
    assert peak.largest_rss <= peak.rss
