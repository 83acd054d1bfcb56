from __future__ import annotations

import os

import numpy as np

from converters.bench.machine import resident_mib, this_machine


def test_names_this_machine() -> None:
    machine = this_machine()
    assert 1 <= machine.cores <= (os.cpu_count() or 1)
    assert machine.processor
    assert str(machine) == f"{machine.processor}, {machine.cores} cores, {machine.system}, Python {machine.python}"


def test_resident_memory_grows_with_what_is_touched() -> None:
    before = resident_mib()
    touched = np.ones(64 * 2**20, np.uint8)
    after = resident_mib()
    if before is None or after is None:
        assert before is after
    else:
        assert after - before > 32
    assert touched[-1] == 1
