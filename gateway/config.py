"""The one typed configuration, read from `configs/gateway.yaml`.

Each part of the gateway gets its own section and never the whole. How a file becomes this model, and what a mistake in
it is told as, is `gateway/config_file.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from gateway import config_file
from gateway.section import Bytes, Count, Pause, Percent, Port, Seconds, Section, UserPath
from gateway.tap.sections import RecordingSection
from gateway.traffic import check
from gateway.traffic.sections import TrafficSection

Framework = Literal["onnx", "pytorch", "tensorflow", "trees"]


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
    max_upload_mib: Count = Field(16384, description="Largest model file in MiB that may be uploaded.")


class SandboxSection(Section):
    """What a dropped model may use while it is looked at and tried out, in a process of its own without a network."""

    memory_mib: Count = Field(16384, description="Memory in MiB.")
    seconds: Seconds = Field(300.0, description="Time for everything that is done with one model.")
    file_mib: Count = Field(16384, description="Largest file in MiB that it may write.")


class PlacementRule(Section):
    """Which Tritons hold the models of a name; of several rules the first that fits a model holds."""

    models: str = Field(description="Names of models as a shell pattern, such as `ocr-*`.")
    upstreams: tuple[str, ...] = Field((), description="Names of the upstreams that hold them.")
    labels: dict[str, str] = Field(
        default_factory=dict, description="Or: labels that an upstream must have, all of them, to hold them."
    )


class RepositorySection(Section):
    """The model repository that Triton serves."""

    path: UserPath = Field(Path("model_repository"), description="The repository's folder, one folder a model.")
    source: str | None = Field(
        None,
        description="An object store that holds the models, as s3://BUCKET/PREFIX, gs://... or az://...; what is in it "
        "is copied to `path`, which is a cache then.",
        pattern=r"^(s3|gs|az|file|memory)://",
    )
    source_seconds: Seconds = Field(10.0, description="How often the object store is listed.")
    frameworks: tuple[Framework, ...] | None = Field(
        None, description="Serve only models of these frameworks; leave it out for every framework that is installed."
    )
    watch: bool = Field(True, description="Whether changes of the folder are followed while the gateway runs.")
    settle_seconds: Seconds = Field(
        1.0, description="How long nothing of a dropped model may have changed before it is read."
    )
    keep_versions: Count = Field(3, description="Versions of a model that are kept, the served one included.")
    fill_upstreams: bool = Field(
        False,
        description="Load and unload models of external Tritons too; they share the folder, and run with "
        "`--model-control-mode=explicit`.",
    )
    placement: tuple[PlacementRule, ...] = Field(
        (), description="Which Tritons hold which models; without a rule that fits, all hold it."
    )
    sandbox: SandboxSection = Field(default_factory=SandboxSection, description="Limits of the trial of a model.")


class TritonSection(Section):
    """The embedded Triton; not used when `upstreams` names external ones."""

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
    """One external Triton: both addresses of one server."""

    name: str = Field("", description="What it is called in logs and in the status; default: its HTTP address.")
    http: str = Field(description="HOST:PORT of Triton's HTTP service.")
    grpc: str = Field(description="HOST:PORT of Triton's gRPC service.")
    labels: dict[str, str] = Field(default_factory=dict, description="What placement rules know it by.")
    group: str = Field(
        "",
        description="The group that it belongs to. One with a group gets only what a route sends to the group or to "
        "it; the others get everything else.",
    )

    def __hash__(self) -> int:
        """Upstreams are keys of the pool; a dictionary of labels cannot be hashed."""
        return hash((self.name, self.http, self.grpc))

    @property
    def label(self) -> str:
        """What it is called: its name, or its HTTP address."""
        return self.name or self.http

    @field_validator("http", "grpc")
    @classmethod
    def _host_and_port(cls, value: str, info: ValidationInfo) -> str:
        host, separator, port = value.rpartition(":")
        if not separator or not host or not port.isdigit() or int(port) > 65535 or "/" in value:
            raise ValueError(f"{info.field_name} must be HOST:PORT, for example triton:8000, not {value!r}")
        return value


class BalanceSection(Section):
    """How requests are spread over many Tritons, and when one of them is left out."""

    check_seconds: Seconds = Field(
        1.0, description="How often each Triton is asked whether it is ready, and which models are."
    )
    check_timeout_seconds: Seconds = Field(2.0, description="How long a Triton may take to answer such a check.")
    eject_after_failures: Count = Field(
        5, description="Failures in a row after which a Triton gets no requests for a while."
    )
    eject_seconds: Seconds = Field(
        5.0, description="How long a Triton is left out the first time; doubled each time, up to a minute."
    )
    panic_percent: Percent = Field(
        50, description="With fewer than this share of the Tritons fit, all of them get requests again."
    )
    retry_budget_percent: Percent = Field(
        20, description="Most retries, as a share of the requests of the last seconds; 0 switches retries off."
    )
    retry_sent_inference: bool = Field(
        False,
        description="Whether an inference whose connection broke after it was sent, and that may have been executed, "
        "is sent again. What was never sent is always safe to send again.",
    )
    sequence_idle_seconds: Seconds = Field(
        600.0, description="How long the Triton of a sequence is remembered after its last request."
    )


class AdminSection(Section):
    """Calls that change Triton for everybody, or look into it; each is refused unless it is switched on here."""

    repository_index: bool = Field(True, description="Whether clients may list the models.")
    repository: bool = Field(False, description="Whether clients may load and unload models.")
    trace: bool = Field(False, description="Whether clients may read and change trace settings.")
    logging: bool = Field(False, description="Whether clients may read and change Triton's log settings.")
    shared_memory: bool = Field(
        False,
        description="Whether clients may use shared memory. Its keys name memory on Triton's host, so clients must be "
        "local and trusted.",
    )


class LimitsSection(Section):
    """Time and size limits that hold for every request."""

    deadline_seconds: Seconds = Field(60.0, description="How long a request may take unless its client says less.")
    connect_timeout_seconds: Seconds = Field(2.0, description="How long a connection to Triton may take to open.")
    idle_seconds: Seconds = Field(75.0, description="How long a client's connection may stay open with nothing asked.")
    head_seconds: Seconds = Field(10.0, description="How long a client may take to send a request's head.")
    max_header_bytes: Bytes = Field(64 * 2**10, description="Largest head of a request (all headers) in bytes.")
    max_decompression_ratio: Count = Field(
        100, description="A compressed body may become this many times as large, and never larger than a plain one may."
    )
    max_buffered_bytes: Annotated[int, Field(gt=0)] = Field(
        2**30, description="Most bytes of requests that one worker holds at a time; what comes above gets 429."
    )
    max_connections: Count = Field(
        512, description="Most HTTP connections to one Triton at a time; further requests wait within their deadline."
    )
    max_waiting: Count = Field(
        4096, description="Most requests of one worker that wait for a connection; what comes above gets 429."
    )
    drain_delay_seconds: Pause = Field(
        0.0,
        description="How long the gateway still takes new requests after its readiness has turned false when it stops: "
        "the time that load balancers need to notice.",
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
    upstreams: tuple[UpstreamSection, ...] = Field(
        (), description="External Tritons. Leave them out, and the embedded one is started and used."
    )
    balance: BalanceSection = Field(
        default_factory=BalanceSection, description="How requests are spread over many Tritons."
    )
    admin: AdminSection = Field(default_factory=AdminSection, description="Calls that need a switch.")
    recording: RecordingSection = Field(
        default_factory=RecordingSection, description="Requests that are kept with their answers."
    )
    traffic: TrafficSection = Field(default_factory=TrafficSection, description="Where requests go.")
    workers: Annotated[int, Field(ge=1, le=256)] = Field(
        1, description="Processes that serve inference; they share both ports."
    )

    @field_validator("upstreams")
    @classmethod
    def _distinct(cls, value: tuple[UpstreamSection, ...]) -> tuple[UpstreamSection, ...]:
        names = [upstream.label for upstream in value]
        twice = {name for name in names if names.count(name) > 1}
        if twice:
            raise ValueError(f"two upstreams are called {min(twice)!r}; give each a name of its own")
        return value


def load(
    path: Path | None,
    overrides: tuple[str, ...] = (),
    models: Callable[[Config], check.Models | None] = lambda _: None,
) -> Config:
    """Read the configuration.

    Args:
        path: a YAML file, or None for the defaults alone.
        overrides: `KEY=VALUE` pairs with dotted keys that win over the file, such as `http.port=9000`.
        models: tells which models there are, with their versions, for routes to lead to; None if nobody can tell.

    Raises:
        ConfigError: the file cannot be read, is not YAML, or says something that the gateway does not know.
    """

    def problems(config: Config) -> Iterator[tuple[Sequence[str | int], str]]:
        upstreams = {upstream.label for upstream in config.upstreams} | {each.group for each in config.upstreams}
        for place, message in check.problems(config.traffic, upstreams - {""}, models(config)):
            yield ("traffic", *place), message

    return config_file.read(Config, path, overrides, problems)
