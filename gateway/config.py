"""The one typed configuration, read from `configs/gateway.yaml`.

Each part of the gateway gets its own section and never the whole. Unknown keys and wrong values are refused with the
line they stand on and, for a misspelt key, the nearest valid name.
"""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, ValidationInfo, field_validator

from gateway.core.errors import ConfigError

Framework = Literal["onnx", "pytorch", "tensorflow"]
UserPath = Annotated[Path, AfterValidator(Path.expanduser)]
Port = Annotated[int, Field(ge=0, le=65535)]
Seconds = Annotated[float, Field(gt=0)]
Bytes = Annotated[int, Field(gt=0, le=2**31 - 1)]


class Section(BaseModel):
    """A part of the configuration: immutable, and closed against keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class HttpSection(Section):
    """The HTTP front end."""

    host: str = Field("0.0.0.0", description="Address that HTTP listens on.")  # noqa: S104 - applications call it
    port: Port = Field(8080, description="Port that HTTP listens on; 0 takes a free one.")
    max_body_bytes: Bytes = Field(64 * 2**20, description="Largest request body in bytes; a larger one gets 413.")
    access_log: Literal["off", "failures", "all"] = Field(
        "failures", description="Which requests are logged, on HTTP and gRPC alike."
    )


class GrpcSection(Section):
    """The gRPC front end."""

    host: str = Field("0.0.0.0", description="Address that gRPC listens on.")  # noqa: S104 - applications call it
    port: Port = Field(8081, description="Port that gRPC listens on; 0 takes a free one.")
    max_message_bytes: Bytes = Field(
        64 * 2**20, description="Largest request message in bytes; a larger one gets RESOURCE_EXHAUSTED."
    )


class ControlSection(Section):
    """The control API, a process of its own."""

    host: str = Field("127.0.0.1", description="Address that the control API listens on.")
    port: Port = Field(8082, description="Port that the control API listens on; 0 takes a free one.")


class RepositorySection(Section):
    """The model repository that Triton serves."""

    path: UserPath = Field(Path("model_repository"), description="The repository's folder, one folder a model.")
    frameworks: tuple[Framework, ...] | None = Field(
        None, description="Serve only models of these frameworks; leave it out for every framework that is installed."
    )


class TritonSection(Section):
    """The embedded Triton; not used when `upstream` names an external one."""

    host: str = Field("127.0.0.1", description="Loopback address that Triton listens on.")
    http_port: Port = Field(8000, description="Triton's HTTP port; 0 takes a free one.")
    grpc_port: Port = Field(8001, description="Triton's gRPC port; 0 takes a free one.")
    metrics_port: Port = Field(8002, description="Triton's metrics port; 0 takes a free one.")
    cache_dir: UserPath | None = Field(
        None, description="Where Triton is unpacked; default `$XDG_CACHE_HOME/triton-gateway` (`~/.cache/...`)."
    )
    log_file: UserPath | None = Field(
        None, description="Triton's log; default `$XDG_STATE_HOME/triton-gateway/triton-<http port>.log`."
    )
    start_timeout_seconds: Seconds = Field(60.0, description="How long Triton may take until it answers, in seconds.")
    load_timeout_seconds: Seconds = Field(180.0, description="How long one model may take to load, in seconds.")
    stop_timeout_seconds: Seconds = Field(
        10.0, description="How long Triton may finish its requests when it is stopped, in seconds."
    )

    @field_validator("host")
    @classmethod
    def _loopback_only(cls, value: str) -> str:
        if value not in ("127.0.0.1", "localhost", "::1"):
            raise ValueError("the embedded Triton has no access control, so it listens on loopback only: 127.0.0.1")
        return value


class UpstreamSection(Section):
    """An external Triton: both addresses of one server."""

    http: str = Field(description="HOST:PORT of Triton's HTTP service.")
    grpc: str = Field(description="HOST:PORT of Triton's gRPC service.")

    @field_validator("http", "grpc")
    @classmethod
    def _host_and_port(cls, value: str, info: ValidationInfo) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not port.isdigit() or int(port) > 65535 or "/" in value:
            raise ValueError(f"{info.field_name} must be HOST:PORT, for example triton:8000, not {value!r}")
        return value


class LimitsSection(Section):
    """Time and size limits that hold for every request."""

    deadline_seconds: Seconds = Field(60.0, description="How long a request may take unless its client says less.")
    connect_timeout_seconds: Seconds = Field(2.0, description="How long a connection to Triton may take to open.")
    max_connections: Annotated[int, Field(ge=1)] = Field(
        512, description="Most connections to Triton at a time; further requests wait within their deadline."
    )
    drain_seconds: Seconds = Field(10.0, description="How long requests in flight may finish when the gateway stops.")


class Config(Section):
    """Everything that can be configured."""

    http: HttpSection = Field(default_factory=HttpSection, description="The HTTP front end.")
    grpc: GrpcSection = Field(default_factory=GrpcSection, description="The gRPC front end.")
    control: ControlSection = Field(default_factory=ControlSection, description="The control API.")
    limits: LimitsSection = Field(default_factory=LimitsSection, description="Limits of every request.")
    repository: RepositorySection = Field(default_factory=RepositorySection, description="The model repository.")
    triton: TritonSection = Field(default_factory=TritonSection, description="The embedded Triton.")
    upstream: UpstreamSection | None = Field(
        None, description="An external Triton. Leave it out, and the embedded one is started and used."
    )


def load(path: Path | None, overrides: tuple[str, ...] = ()) -> Config:
    """Read the configuration.

    Args:
        path: a YAML file, or None for the defaults alone.
        overrides: `KEY=VALUE` pairs with dotted keys that win over the file, such as `http.port=9000`.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that the gateway does not know.
    """
    text = _read(path) if path else ""
    where = str(path) if path else "configuration"
    try:
        tree = yaml.compose(text, Loader=yaml.SafeLoader)
        values = yaml.safe_load(text)
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise ConfigError(f"{where}:{line}: this is not YAML: {error.problem}") from None
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigError(f"{where}:1: expected sections such as `http:`, found {type(values).__name__}")
    for override in overrides:
        _override(values, override)
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        raise ConfigError("\n".join(_explain(where, tree, e) for e in error.errors())) from None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise ConfigError(f"{path}: there is no such file; name another with --config") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: cannot be read: {error}") from None


def _override(values: dict[str, Any], override: str) -> None:
    key, separator, value = override.partition("=")
    if not separator:
        raise ConfigError(f"--set {override}: expected KEY=VALUE, for example http.port=9000")
    *parents, leaf = key.split(".")
    for parent in parents:
        section = values.get(parent)
        if section is None:
            section = values[parent] = {}
        if not isinstance(section, dict):
            raise ConfigError(f"--set {override}: {parent} is not a section")
        values = section
    try:
        values[leaf] = yaml.safe_load(value)
    except yaml.YAMLError:
        raise ConfigError(f"--set {override}: {value!r} is not a YAML value") from None


def _explain(where: str, tree: yaml.Node | None, error: Any) -> str:
    path = [str(part) for part in error["loc"]]
    line = _line_of(tree, path)
    place = f"{where}:{line}" if line else where
    key = ".".join(path)
    if error["type"] != "extra_forbidden":
        message = error["msg"].removeprefix("Value error, ")
        return f"{place}: {key}: {message[0].lower()}{message[1:]}"
    known = _fields_at(path[:-1])
    nearest = difflib.get_close_matches(path[-1], known, n=1)
    hint = f"did you mean {nearest[0]!r}?" if nearest else f"known here: {', '.join(known)}"
    return f"{place}: unknown key {key!r}; {hint}"


def _line_of(tree: yaml.Node | None, path: list[str]) -> int | None:
    """The line of the deepest part of `path` that stands in the file, counted from 1."""
    line: int | None = None
    node = tree
    for part in path:
        if isinstance(node, yaml.MappingNode):
            found = next(((k, v) for k, v in node.value if k.value == part), None)
        elif isinstance(node, yaml.SequenceNode) and part.isdigit() and int(part) < len(node.value):
            found = (node.value[int(part)],) * 2
        else:
            found = None
        if found is None:
            break
        line, node = found[0].start_mark.line + 1, found[1]
    return line


def _fields_at(path: list[str]) -> list[str]:
    section: Any = Config
    for part in path:
        annotation = section.model_fields[part].annotation
        candidates = (annotation, *getattr(annotation, "__args__", ()))
        section = next(c for c in candidates if isinstance(c, type) and issubclass(c, Section))
    return list(section.model_fields)
