from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from converters.machine import Machine, resident_mib


def test_a_container_gets_what_its_control_group_allows(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/meminfo").write_text("MemTotal: 33554432 kB\nMemAvailable: 16777216 kB\n")
    (tmp_path / "proc/cpuinfo").write_text("processor : 0\nmodel name : A Processor\n")
    assert Machine.here(tmp_path).memory_mib == 16384
    assert Machine.here(tmp_path).processor == "A Processor"
    group = tmp_path / "sys/fs/cgroup"
    group.mkdir(parents=True)
    (group / "memory.max").write_text("4294967296\n")
    (group / "memory.current").write_text("1073741824\n")
    (group / "cpu.max").write_text("100000 100000\n")
    assert (Machine.here(tmp_path).memory_mib, Machine.here(tmp_path).cores) == (3072, 1)
    (group / "memory.max").write_text("max\n")
    assert Machine.here(tmp_path).memory_mib == 16384


def test_names_this_machine() -> None:
    here = Machine.here()
    assert 1 <= here.cores <= (os.cpu_count() or 1)
    assert here.memory_mib > 100
    assert here.processor
    assert str(here).startswith(f"{here.processor}, {here.cores} cores, ")
    assert str(here).endswith(f" GiB free, {here.system}, Python {here.python}")


def test_resident_memory_grows_with_what_is_touched() -> None:
    before = resident_mib()
    touched = np.ones(64 * 2**20, np.uint8)
    after = resident_mib()
    if before is None or after is None:
        assert before is after
    else:
        assert after - before > 32
    assert touched[-1] == 1
