"""The part of a real Triton's API that loads, unloads and looks at models; see `gateway.repository.model_control`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Self

import grpc
import httpx

from gateway.repository.model_control import ControlError, IndexRow
from gateway.triton import trial
from gateway.wire.protobuf import length_delimited

_SERVICE = "/inference.GRPCInferenceService/"
_ANSWER_SECONDS = 10.0  # for the questions that Triton answers from memory


class TritonControl:
    """A real Triton. An asynchronous context manager, which holds its connections.

    Models are loaded and unloaded over gRPC: over HTTP a load occupies one of Triton's few HTTP threads until the model
    is there, and every request on a connection of the same thread waits for it, often all of them (measured).
    """

    def __init__(self, http: str, grpc_address: str) -> None:
        self._http_address, self._grpc_address = http, grpc_address

    async def __aenter__(self) -> Self:
        self._http = httpx.AsyncClient(
            base_url=f"http://{self._http_address}", timeout=_ANSWER_SECONDS, trust_env=False
        )
        self._channel = grpc.aio.insecure_channel(
            self._grpc_address, options=(("grpc.enable_http_proxy", 0), ("grpc.use_local_subchannel_pool", 1))
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._http.aclose()
        await self._channel.close()

    async def live(self) -> bool:
        """See `ModelControl`."""
        try:
            return (await self._http.get("/v2/health/live")).status_code == 200
        except httpx.HTTPError:
            return False

    async def load(self, model: str, timeout: float, config: str = "") -> None:
        """See `ModelControl`."""
        await self._call("RepositoryModelLoad", _of_model(model, config), timeout, "loaded")

    async def unload(self, model: str, timeout: float) -> None:
        """See `ModelControl`."""
        await self._call("RepositoryModelUnload", _of_model(model), timeout, "unloaded")

    async def ready(self, model: str) -> bool:
        """See `ModelControl`."""
        return (await self._ask("GET", f"/v2/models/{model}/ready")).status_code == 200

    async def index(self) -> Sequence[IndexRow]:
        """See `ModelControl`."""
        answer = await self._ask("POST", "/v2/repository/index")
        if answer.status_code != 200:
            raise ControlError(f"the repository index was refused: {answer.text}")
        fields = ("name", "version", "state", "reason")
        return [IndexRow(**{field: row.get(field, "") for field in fields}) for row in answer.json()]

    async def instances(self, model: str, version: str) -> int:
        """See `ModelControl`."""
        answer = await self._ask("GET", f"/v2/models/{model}/versions/{version}/config")
        if answer.status_code != 200:
            raise ControlError(f"the configuration of {model!r} was refused: {answer.text}")
        # A group with GPUs has its count on each of them.
        groups = answer.json().get("instance_group", ())
        return sum(int(group.get("count", 1)) * max(1, len(group.get("gpus", ()))) for group in groups)

    async def infer(self, model: str, inputs: Sequence[Mapping[str, Any]], timeout: float) -> int:
        """See `ModelControl`; a model that answers with a stream cannot be asked this way, and counts as one."""
        body, headers = trial.request(inputs)
        answer = await self._infer(model, body, headers, timeout)
        if "correlation ID" in answer.text:
            body, headers = trial.request(inputs, sequence=True)
            answer = await self._infer(model, body, headers, timeout)
        if answer.status_code != 200 and "decoupled transaction" not in answer.text:
            raise ControlError(trial.error_of(answer.content))
        return trial.outputs_of(answer.content, answer.headers) if answer.status_code == 200 else 1

    async def _infer(self, model: str, body: bytes, headers: Mapping[str, str], timeout: float) -> httpx.Response:
        path = f"/v2/models/{model}/infer"
        return await self._ask("POST", path, content=body, headers=headers, timeout=timeout)

    async def _ask(self, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, path, **more)
        except httpx.HTTPError as error:
            raise ControlError(f"Triton does not answer: {error or type(error).__name__}") from None

    async def _call(self, method: str, message: bytes, timeout: float, done: str) -> None:
        try:
            call: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = self._channel.unary_unary(_SERVICE + method)
            await call(message, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED:
                raise ControlError(f"it was not {done} within {timeout:g} s") from None
            raise ControlError(error.details() or error.code().name) from None


def _of_model(model: str, config: str = "") -> bytes:
    """A RepositoryModelLoadRequest or RepositoryModelUnloadRequest: field 2 names it, field 3 maps parameters."""
    named = length_delimited(2, model.encode())
    if not config:
        return named
    value = length_delimited(3, config.encode())  # of a ModelRepositoryParameter: its string
    return named + length_delimited(3, length_delimited(1, b"config") + length_delimited(2, value))
