"""Keep some requests as they came, to calibrate models with: the innermost policy, so it keeps what Triton answered."""

from __future__ import annotations

import random as _random
import time
from collections.abc import Callable

from gateway.config import RecordingSection
from gateway.core.call import Call, ClientStream, Operation, Protocol, Reply
from gateway.core.policy import Next, NextStream
from gateway.recorder import Recorder
from gateway.wire import status

_INFER = Operation.INFER
_HTTP = Protocol.HTTP


class Record:
    """Offers a share of the inferences that succeed to the recorder.

    Chance decides, not a count: clients that take turns would otherwise be kept always or never. Left out are
    sequences, whose requests mean nothing alone; streams; and raw requests over HTTP, which do not name their input.

    Args:
        section: which requests, and where to.
        recorder: writes them.
        random: where chance comes from: at least 0, below 1.
    """

    def __init__(
        self, section: RecordingSection, recorder: Recorder, random: Callable[[], float] = _random.random
    ) -> None:
        self._section = section
        self._recorder = recorder
        self._random = random
        self._models = frozenset(section.models)
        self._share = 1 / section.every

    async def __call__(self, call: Call, proceed: Next) -> Reply:
        """Go on, and keep the request if its turn has come and Triton took it."""
        if not self._chosen(call):
            return await proceed(call)
        arrived = time.time_ns()
        reply = await proceed(call)
        if reply.status == (200 if call.protocol is _HTTP else status.OK):
            self._recorder.offer(self._section, call, arrived)
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
            and (not self._models or call.model in self._models)
        )
