import os
import sys
from pathlib import Path

import pytest

from gateway.config import TritonSection
from gateway.triton.fetch import TritonInstall
from gateway.triton.launch import arguments, environment, stack_limit
from gateway.triton.ports import Ports
from gateway.triton.runtime import RuntimeFolder

INSTALL = TritonInstall(Path("/cache/triton"), "2.51.0")


@pytest.fixture
def runtime(tmp_path: Path) -> RuntimeFolder:
    return RuntimeFolder(tmp_path / "triton-gateway-1-abcd", lock=-1)


def test_triton_is_started_for_this_machine_alone_and_loads_only_what_it_is_told(runtime: RuntimeFolder) -> None:
    argv = arguments(TritonSection(), Ports(8000, 8001, 8002), INSTALL, runtime, auto_complete=True)
    assert argv[0] == "/cache/triton/pytriton/tritonserver/bin/tritonserver"
    assert {
        "--model-control-mode=explicit",
        f"--model-repository={runtime.path}/models",
        f"--backend-directory={runtime.path}/backends",
        "--http-address=127.0.0.1",
        "--grpc-address=127.0.0.1",
        "--metrics-address=127.0.0.1",
        "--http-port=8000",
        "--grpc-port=8001",
        "--metrics-port=8002",
        "--allow-vertex-ai=false",
        "--backend-config=python,shm-region-prefix-name=triton-gateway-1-abcd-",
    } <= set(argv)


@pytest.mark.parametrize("auto_complete", [True, False])
def test_configurations_are_completed_only_where_one_needs_it(runtime: RuntimeFolder, auto_complete: bool) -> None:
    argv = arguments(TritonSection(), Ports(8000, 8001, 8002), INSTALL, runtime, auto_complete=auto_complete)
    assert ("--disable-auto-complete-config" in argv) is not auto_complete


def test_each_of_triton_s_services_takes_an_ipv6_address_in_its_own_way(runtime: RuntimeFolder) -> None:
    argv = arguments(TritonSection(host="::1"), Ports(8000, 8001, 8002), INSTALL, runtime, auto_complete=True)
    assert {"--http-address=ipv6:::1", "--grpc-address=[::1]", "--metrics-address=ipv6:::1"} <= set(argv)


def test_the_backends_find_the_packages_of_this_interpreter(runtime: RuntimeFolder) -> None:
    env = environment({"PATH": "/usr/bin", "LD_LIBRARY_PATH": "/mine"}, INSTALL, runtime)
    assert env["PATH"] == f"{Path(sys.executable).parent}:/usr/bin"
    assert env["LD_LIBRARY_PATH"] == f"{runtime.path}/lib:/cache/triton/nvidia_pytriton.libs:/mine"


def test_the_user_s_settings_stay_except_those_that_change_how_a_backend_starts(runtime: RuntimeFolder) -> None:
    given = {"OMP_NUM_THREADS": "2", "BASH_ENV": "/x", "PYTHONHOME": "/x", "PYTHONPATH": "/x"}
    env = environment(given, INSTALL, runtime)
    assert env["OMP_NUM_THREADS"] == "2"
    assert not {"BASH_ENV", "PYTHONHOME", "PYTHONPATH"} & set(env)
    assert os.pathsep + os.pathsep not in env["PATH"] + env["LD_LIBRARY_PATH"]


@pytest.mark.parametrize(
    ("hard", "counted", "expected"),
    [(-1, False, 2**30), (2**24, False, 2**24), (2**40, False, 2**30), (-1, True, None)],
)
def test_stacks_are_large_unless_the_machine_forbids_it(hard: int, counted: bool, expected: int | None) -> None:
    assert stack_limit(hard, counted) == expected
