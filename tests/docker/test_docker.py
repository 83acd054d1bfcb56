"""The Dockerfiles, as far as they can be checked without a Docker engine."""

from __future__ import annotations

import contextlib
import json
import re
import shlex
import shutil
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import NamedTuple

import pytest
import yaml

from gateway.config import load

ROOT = Path(__file__).parents[2]
DOCKER = ROOT / "docker"
GATEWAY, TRITON = DOCKER / "gateway.Dockerfile", DOCKER / "triton.Dockerfile"


class Step(NamedTuple):
    """One instruction of a Dockerfile."""

    verb: str
    arguments: str


def steps(dockerfile: Path) -> list[Step]:
    """The instructions of a Dockerfile in order, continued lines joined and comments dropped."""
    lines = (line for line in dockerfile.read_text().splitlines() if not line.lstrip().startswith("#"))
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [Step(*line.split(None, 1)) for line in joined.splitlines() if line]


def arguments(dockerfile: Path, verb: str) -> list[str]:
    """The arguments of every instruction `verb`."""
    return [step.arguments for step in steps(dockerfile) if step.verb == verb]


def copied(dockerfile: Path) -> set[str]:
    """What the Dockerfile copies from the build context."""
    words = [shlex.split(line) for line in arguments(dockerfile, "COPY") if "--from=" not in line]
    return {word for line in words for word in line[:-1] if not word.startswith("--")}


def let_through() -> set[str]:
    """What `.dockerignore` lets into a build: it refuses everything and names the exceptions."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    return {line[1:] for line in lines if line.startswith("!")}


def locked() -> dict[str, str]:
    """The exact versions of `requirements.lock`, by distribution."""
    pins = re.findall(r"^([\w.-]+)==([^\s;]+)", (ROOT / "requirements.lock").read_text(), flags=re.MULTILINE)
    return dict(pins)


class TestDockerfiles:
    @pytest.mark.parametrize("dockerfile", [GATEWAY, TRITON], ids=lambda path: path.name)
    def test_hadolint_has_nothing_to_say(self, dockerfile: Path) -> None:
        beside_python = Path(sys.executable).with_name("hadolint")
        hadolint = str(beside_python) if beside_python.exists() else shutil.which("hadolint")
        assert hadolint, "hadolint is missing: install the extra `dev`"

        result = subprocess.run([hadolint, "--no-color", dockerfile], capture_output=True, text=True, check=False)

        assert (result.returncode, result.stdout) == (0, "")

    @pytest.mark.parametrize("dockerfile", [GATEWAY, TRITON], ids=lambda path: path.name)
    def test_what_is_copied_exists_and_reaches_the_build(self, dockerfile: Path) -> None:
        sources = copied(dockerfile)

        assert sources
        assert {source for source in sources if not (ROOT / source).exists()} == set()
        assert {source for source in sources if not {source, source.split("/")[0]} & let_through()} == set()

    @pytest.mark.parametrize("dockerfile", [GATEWAY, TRITON], ids=lambda path: path.name)
    def test_runs_as_a_numbered_user_who_is_not_root(self, dockerfile: Path) -> None:
        user, _, group = arguments(dockerfile, "USER")[-1].partition(":")

        assert int(user) > 0
        assert int(group) > 0

    def test_nothing_enters_a_build_that_no_dockerfile_copies(self) -> None:
        wanted = copied(GATEWAY) | copied(TRITON)

        assert {
            entry for entry in let_through() if not any(w == entry or w.startswith(entry + "/") for w in wanted)
        } == set()


class TestGatewayImage:
    def test_everything_that_the_wheel_is_made_of_is_copied(self) -> None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text())
        wheel = project["tool"]["hatch"]["build"]["targets"]["wheel"]
        metadata = {"pyproject.toml", project["project"]["readme"], *project["project"]["license-files"]}

        beside = {path.partition("/")[0] for path in wheel["force-include"]}

        assert {*wheel["packages"], *beside, *metadata, "requirements.lock"} <= copied(GATEWAY)

    def test_installs_the_locked_versions_of_the_base_dependencies_and_keeps_no_cache(self) -> None:
        install = shlex.split(next(line for line in arguments(GATEWAY, "RUN") if line.startswith("pip ")))

        assert install[install.index("--constraint") + 1] == "requirements.lock"
        assert "--no-cache-dir" in install
        assert install[-1] == "."  # and no extra: ".[onnx]" would bring numpy

    def test_the_lock_file_can_be_a_constraints_file(self) -> None:
        lines = (ROOT / "requirements.lock").read_text().splitlines()

        # pip refuses extras in constraints, and with one hash it would want a hash of the project itself.
        assert [line for line in lines if re.match(r"-|[\w.-]+\[|.*--hash", line)] == []

    def test_starts_the_console_script_of_the_project_in_exec_form(self) -> None:
        [entrypoint] = arguments(GATEWAY, "ENTRYPOINT")
        [command] = arguments(GATEWAY, "CMD")

        assert json.loads(entrypoint)[0] in tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]
        assert json.loads(command) == ["serve", "--config", "/etc/triton-gateway/gateway.yaml"]
        assert arguments(GATEWAY, "STOPSIGNAL") == ["SIGTERM"]

    def test_exposes_the_ports_of_its_configuration(self) -> None:
        config = load(DOCKER / "gateway.yaml")

        [exposed] = arguments(GATEWAY, "EXPOSE")
        assert exposed.split() == [str(port) for port in (config.http.port, config.grpc.port, config.control.port)]

    def test_its_configuration_names_the_triton_of_the_compose_file(self) -> None:
        config = load(DOCKER / "gateway.yaml")

        assert [(upstream.http, upstream.grpc) for upstream in config.upstreams] == [("triton:8000", "triton:8001")]
        assert "triton" in yaml.safe_load((DOCKER / "compose.yaml").read_text())["services"]

    @pytest.mark.parametrize(("status", "code"), [(200, 0), (503, 1)])
    def test_the_health_check_tells_a_live_gateway_from_another(self, status: int, code: int) -> None:
        with answering(status) as (port, asked):
            result = subprocess.run(health_check(port), capture_output=True, text=True, check=False)

        assert (result.returncode, result.stderr) == (code, "")
        assert asked == ["/v2/health/live"]

    def test_the_health_check_fails_where_nothing_listens(self) -> None:
        with answering(200) as (port, _):
            pass

        assert subprocess.run(health_check(port), capture_output=True, check=False).returncode == 1


def health_check(port: int) -> list[str]:
    """The health check's command, turned to `port` and run by this interpreter."""
    [check] = arguments(GATEWAY, "HEALTHCHECK")
    _, *rest = json.loads(check.partition("CMD ")[2])
    return [sys.executable, *(word.replace("8080", str(port)) for word in rest)]


@contextlib.contextmanager
def answering(status: int) -> Iterator[tuple[int, list[str]]]:
    """A server that answers every GET with `status`: its port, and the paths that it was asked for."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(self.path)
            self.send_response(status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server.server_port, asked
        finally:
            server.shutdown()
            thread.join()


class TestTritonImage:
    def test_has_no_image_of_its_own_choice(self) -> None:
        before_from = steps(TRITON)[: [step.verb for step in steps(TRITON)].index("FROM")]

        assert before_from == [Step("ARG", "TRITON_IMAGE")]
        assert arguments(TRITON, "FROM") == ["${TRITON_IMAGE}"]

    def test_installs_the_locked_tensorflow(self) -> None:
        assert f"TENSORFLOW_VERSION={locked()['tensorflow-cpu']}" in arguments(TRITON, "ARG")

    def test_puts_the_backend_where_triton_and_its_imports_look_for_it(self) -> None:
        home = "/opt/tritonserver/"

        assert {f"backends/{part} {home}backends/{part}" for part in ("__init__.py", "common", "tensorflow")} <= set(
            arguments(TRITON, "COPY")
        )
