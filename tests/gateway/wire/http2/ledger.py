"""The receiver's side of flow control, kept to the letter: what a peer was allowed to send, and whether it did more.

New settings count from where the peer acknowledges them in what it sends, not from when they were said.
"""

import random
from collections import defaultdict, deque

from gateway.wire.http2 import frames
from tests.gateway.grpc_peers import Frame, RawPeer


class Ledger:
    """The windows of one connection.

    Attributes:
        window: bytes of DATA that the peer may send on the connection; it begins at HTTP/2's 65,535.
        data: what came on each stream.
        opened: streams on which headers came.
        ended: streams that the peer has ended.
    """

    def __init__(self) -> None:
        self.window = frames.DEFAULT_WINDOW
        self.data: defaultdict[int, bytes] = defaultdict(bytes)
        self.opened: set[int] = set()
        self.ended: set[int] = set()
        self._initial, self._frame = frames.DEFAULT_WINDOW, frames.DEFAULT_FRAME_SIZE
        self._granted: defaultdict[int, int] = defaultdict(int)
        self._said: deque[dict[int, int]] = deque()

    def settings(self, values: dict[int, int]) -> Frame:
        """New settings, to be sent."""
        self._said.append(values)
        return frames.SETTINGS, 0, 0, frames.settings(values)[frames.HEAD_SIZE :]

    def grant(self, stream_id: int, increment: int) -> Frame:
        """A window's growth, to be sent; stream 0 is the connection."""
        if stream_id:
            self._granted[stream_id] += increment
        else:
            self.window += increment
        return frames.WINDOW_UPDATE, 0, stream_id, frames.window_update(stream_id, increment)[frames.HEAD_SIZE :]

    def left(self, stream_id: int) -> int:
        """Bytes that the peer may send on a stream."""
        return self._initial + self._granted[stream_id] - len(self.data[stream_id])

    def heard(self, frame: Frame) -> None:
        """Check a frame of the peer's."""
        kind, flags, stream_id, payload = frame
        if kind == frames.SETTINGS and flags & frames.ACK:
            values = self._said.popleft()
            self._initial = values.get(frames.INITIAL_WINDOW_SIZE, self._initial)
            self._frame = values.get(frames.MAX_FRAME_SIZE, self._frame)
        elif kind == frames.DATA:
            size = len(payload)
            assert size <= self._frame, f"a frame of {size} bytes, and {self._frame} are allowed"
            assert size <= self.window, f"{size} bytes, and the connection's window is {self.window}"
            assert size <= max(0, self.left(stream_id)), (
                f"{size} bytes, and the stream's window is {self.left(stream_id)}"
            )
            self.window -= size
            self.data[stream_id] += payload
        elif kind == frames.HEADERS:
            self.opened.add(stream_id)
        if kind in (frames.DATA, frames.HEADERS) and flags & frames.END_STREAM:
            self.ended.add(stream_id)


async def squeeze(peer: RawPeer, ledger: Ledger, streams: int, seed: int) -> None:
    """Let the other side send through windows that grow and shrink by little, until it has ended so many streams."""
    chance = random.Random(seed)  # noqa: S311 - not for secrets
    while len(ledger.ended) < streams:
        waiting = sorted(ledger.opened - ledger.ended)
        if chance.random() < 0.3 or not waiting:
            values = {frames.INITIAL_WINDOW_SIZE: chance.choice([0, 1, 5, 80, 3000])}
            peer.say(*ledger.settings(values))
        else:
            peer.say(*ledger.grant(chance.choice(waiting), chance.choice([1, 6, 500, 9000])))
            peer.say(*ledger.grant(0, chance.choice([1, 4, 3000])))
        peer.say(frames.PING, payload=b"all said")
        while (frame := await peer.hear())[:2] != (frames.PING, frames.ACK):
            ledger.heard(frame)
