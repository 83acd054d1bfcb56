"""Keep some requests with their answers, to replay or to calibrate with: as Triton got them, and as it answered."""

from __future__ import annotations

import random as _random
import time
from collections.abc import Callable, Mapping

from gateway.core.call import Call, ClientStream, Metadata, Operation, Protocol, Reply
from gateway.core.policy import Next, NextStream
from gateway.tap.base import Tap
from gateway.tap.exchange import Answer, Exchange
from gateway.tap.sections import RecordingSection
from gateway.wire import status
from gateway.wire.oip_http import HEAD_LENGTH
from gateway.wire.parameters import SHARED_MEMORY

_INFER = Operation.INFER
_HTTP = Protocol.HTTP
_SHARED_MEMORY = SHARED_MEMORY.encode()


class Record:
    """Offers a share of the inferences that succeed to the tap, as the bytes that they are.

    Chance decides, not a count: clients that take turns would otherwise be kept always or never. Left out are
    sequences, whose requests mean nothing alone; streams; raw requests over HTTP, which do not name their input; and
    tensors in shared memory, which are not in the request.

    Args:
        section: which requests, and whether with their answers.
        tap: takes them away.
        tenant_header: the header that says whose a request is, where nobody was authenticated; empty for none.
        public: the names by which clients know the models, by route: requests are kept under these, so that a replay
            goes by the route again.
        random: where chance comes from: at least 0, below 1.
    """

    def __init__(
        self,
        section: RecordingSection,
        tap: Tap,
        tenant_header: str = "",
        public: Mapping[str, str] | None = None,
        random: Callable[[], float] = _random.random,
    ) -> None:
        self._tap = tap
        self._answers = section.answers
        self._tenant_header = tenant_header.lower().encode()
        self._public = public or {}
        self._random = random
        self._models = frozenset(section.models)
        self._share = 1 / section.every

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and offer the request if its turn has come and Triton took it."""
        if not self._chosen(call):
            return await proceed(call)
        arrived, began = time.time_ns(), time.perf_counter()
        reply = await proceed(call)
        if reply.status == (200 if call.protocol is _HTTP else status.OK):
            self._tap.offer(self._exchange(call, arrived, self._answer(call, reply, time.perf_counter() - began)))
        return reply

    async def stream(self, call: Call, client: ClientStream, proceed: NextStream) -> Reply:
        """Streams are not kept."""
        return await proceed(call, client)

    def _chosen(self, call: Call) -> bool:
        return (
            self._random() < self._share
            and call.operation is _INFER
            and call.sequence is None
            and call.head_len > 0
            and (not self._models or call.model in self._models or self._public.get(call.route) in self._models)
            and call.body.find(_SHARED_MEMORY, 0, call.head_len) < 0
        )

    def _exchange(self, call: Call, arrived: int, answer: Answer) -> Exchange:
        over_http = call.protocol is _HTTP
        public = self._public.get(call.route, "")
        return Exchange(
            purpose="record",
            route=call.route,
            mirror="",
            epoch="",
            protocol="http" if over_http else "grpc",
            model=public or call.model,
            version="" if public else call.version,  # the route says which
            request_id=call.request_id,
            tenant=call.principal or _value(call.metadata, self._tenant_header),
            arrived=arrived,
            request=bytes(call.body),
            header_length=call.head_len if over_http and _value(call.metadata, HEAD_LENGTH) else None,
            answers=(answer,),
        )

    def _answer(self, call: Call, reply: Reply, seconds: float) -> Answer:
        over_http = call.protocol is _HTTP
        head_length = _value(reply.metadata, HEAD_LENGTH) if over_http else ""
        return Answer(
            target=reply.variant or call.variant,
            model=call.model,
            version=call.version,
            status=reply.status,
            body=bytes(reply.body) if self._answers else b"",
            header_length=int(head_length) if head_length.isdecimal() else None,
            encoding=_value(reply.metadata, b"content-encoding") if over_http else "",
            message=reply.message,
            seconds=seconds,
        )


def _value(metadata: Metadata, name: bytes) -> str:
    """The first value of a header; empty if there is none of that name."""
    return next((value.decode("latin-1") for key, value in metadata if key == name), "")
