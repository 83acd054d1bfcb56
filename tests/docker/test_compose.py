"""The compose files, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from gateway.config import load

DOCKER = Path(__file__).parents[2] / "docker"
COMPOSE, GPU = DOCKER / "compose.yaml", DOCKER / "compose.gpu.yaml"


def services(*files: Path) -> Any:
    """The services of the compose files, the later laid over the earlier at the top level of each service."""
    merged: dict[str, dict[str, Any]] = {}
    for file in files:
        for name, service in yaml.safe_load(file.read_text())["services"].items():
            merged.setdefault(name, {}).update(service)
    return merged


class TestCompose:
    def test_triton_is_reached_through_the_gateway_alone(self) -> None:
        triton = services(COMPOSE, GPU)["triton"]
        networks = yaml.safe_load(COMPOSE.read_text())["networks"]

        assert "ports" not in triton
        assert triton["networks"] == ["back"]
        assert networks["back"] == {"internal": True}

    def test_the_control_port_stays_on_the_hosts_loopback(self) -> None:
        assert services(COMPOSE)["gateway"]["ports"] == ["8080:8080", "8081:8081", "127.0.0.1:8082:8082"]

    def test_the_gateway_waits_until_triton_is_healthy(self) -> None:
        both = services(COMPOSE)

        assert both["gateway"]["depends_on"] == {"triton": {"condition": "service_healthy"}}
        assert both["triton"]["healthcheck"]["test"][0] == "CMD"

    def test_models_are_loaded_explicitly_from_a_repository_that_triton_cannot_write(self) -> None:
        triton = services(COMPOSE)["triton"]
        [models] = triton["volumes"]

        assert {"--model-control-mode=explicit", "--load-model=*", "--model-repository=/models"} <= set(
            triton["command"]
        )
        assert (models["target"], models["read_only"]) == ("/models", True)

    @pytest.mark.parametrize("name", ["gateway", "triton"])
    def test_a_service_comes_back_and_holds_no_privilege(self, name: str) -> None:
        service = services(COMPOSE)[name]

        assert service["restart"] == "unless-stopped"
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]

    def test_the_gateway_writes_to_tmp_alone(self) -> None:
        gateway = services(COMPOSE)["gateway"]

        assert gateway["read_only"] is True
        assert [mount.partition(":")[0] for mount in gateway["tmpfs"]] == ["/tmp"]  # noqa: S108 - in the container

    def test_a_stopped_service_has_time_for_its_requests(self) -> None:
        both = services(COMPOSE)

        assert int(both["gateway"]["stop_grace_period"][:-1]) > load(DOCKER / "gateway.yaml").limits.drain_seconds
        assert int(both["triton"]["stop_grace_period"][:-1]) > 30  # Triton's own --exit-timeout-secs


class TestComposeClient:
    """What Docker's own reader makes of the files; it needs no engine."""

    @pytest.fixture(autouse=True)
    def _client(self) -> None:
        docker = shutil.which("docker")
        if not docker or subprocess.run([docker, "compose", "version"], capture_output=True, check=False).returncode:
            pytest.skip("the docker client or its compose plugin is not installed")

    def config(self, *files: Path, **environment: str) -> subprocess.CompletedProcess[str]:
        named = [word for file in files for word in ("--file", str(file))]
        return subprocess.run(
            ["docker", "compose", *named, "config", "--format", "json"],
            env={name: value for name, value in os.environ.items() if name != "TRITON_IMAGE"} | environment,
            capture_output=True,
            text=True,
            check=False,
        )

    def test_reads_the_cpu_variant(self) -> None:
        result = self.config(COMPOSE, TRITON_IMAGE="triton:25.10-py3")

        assert (result.returncode, result.stderr) == (0, "")
        triton = json.loads(result.stdout)["services"]["triton"]
        assert triton["build"]["args"] == {"TRITON_IMAGE": "triton:25.10-py3", "TENSORFLOW_DEVICE": "cpu"}
        assert "deploy" not in triton

    def test_reads_the_gpu_variant(self) -> None:
        result = self.config(COMPOSE, GPU, TRITON_IMAGE="triton:25.10-py3")

        assert (result.returncode, result.stderr) == (0, "")
        triton = json.loads(result.stdout)["services"]["triton"]
        assert triton["build"]["args"]["TENSORFLOW_DEVICE"] == "gpu"
        assert triton["deploy"]["resources"]["reservations"]["devices"] == [
            {"capabilities": ["gpu"], "driver": "nvidia", "count": -1}
        ]

    def test_says_what_to_do_without_an_image(self) -> None:
        result = self.config(COMPOSE)

        assert result.returncode != 0
        assert "TRITON_IMAGE" in result.stderr
        assert "docs/guide/docker.md" in result.stderr
