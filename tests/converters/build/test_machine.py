from pathlib import Path

from converters.build.machine import Machine, expected_mib, versions


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


def test_this_machine_has_a_core_and_memory() -> None:
    here = Machine.here()
    assert here.cores >= 1
    assert here.memory_mib > 100
    assert "cores" in str(here)


def test_a_framework_and_a_large_model_take_more() -> None:
    assert expected_mib("savedmodel", 0) > expected_mib("onnx", 0)
    assert expected_mib("onnx", 1 << 30) > expected_mib("onnx", 1 << 20) + 10_000


def test_versions_are_of_what_is_installed() -> None:
    told = versions(("onnx", "no-such-library"))
    assert list(told) == ["onnx"]
    assert told["onnx"][0].isdigit()
