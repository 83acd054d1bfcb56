"""Triton over gRPC: raw message bytes on few connections, many requests at a time on each."""

from __future__ import annotations

import asyncio
import time

from gateway.config import LimitsSection
from gateway.core.call import Call, ClientStream, Reply
from gateway.core.errors import ClientGone, DeadlineExceeded, GatewayError, UpstreamUnavailable
from gateway.upstreams.added import with_added
from gateway.upstreams.grpc_connection import TritonConnection
from gateway.upstreams.grpc_stream import StreamingExchange, UnaryExchange
from gateway.wire import oip_grpc

_MAX_CONNECTIONS = 4
_ATTEMPTS = _MAX_CONNECTIONS + 1  # connections that one request waits for; each may be full when its turn comes
_BUFFER = 2**18
_HEADER_BYTES = 2**20  # of Triton's answers: an error's words come in a header, and may be long
_RETRY_SECONDS = 0.1  # in which a Triton that could not be reached is not tried again
_UNREACHABLE = "Triton cannot be reached right now; try again shortly"


class GrpcUpstream:
    """One Triton.

    Args:
        address: "host:port" of its gRPC service.
        limits: how long a connection may take to open, and how far an answer may unpack.
    """

    def __init__(self, address: str, limits: LimitsSection) -> None:
        self._address = address
        self._limits = limits
        self._connections: list[TritonConnection] = []
        self._connecting: asyncio.Task[None] | None = None
        self._failed_at = -_RETRY_SECONDS
        self._buffer = memoryview(bytearray(_BUFFER))
        self._closed = False
        self._empty = asyncio.Event()

    async def infer(self, call: Call) -> Reply:
        """Send `call` and wait for the answer, as `Upstream.infer` says."""
        connection = self._free() or await self._connected(call)
        metadata = oip_grpc.request_metadata(call.metadata)
        if call.added:
            metadata = with_added(metadata, call.added)
        exchange = connection.open(UnaryExchange, call, metadata, end=True)
        try:
            return await exchange.outcome
        except asyncio.CancelledError:
            exchange.abandon()
            raise

    async def stream(self, call: Call, client: ClientStream) -> Reply:
        """Pass messages both ways until Triton ends the stream, as `Upstream.stream` says."""
        connection = self._free() or await self._connected(call)
        told = with_added(oip_grpc.request_metadata(call.metadata), call.added)
        exchange = connection.open(StreamingExchange, call, told, end=False)
        upload = asyncio.create_task(_upload(client, exchange), name="upload to Triton")
        try:
            # Triton's side of the deadline is kept by the connection; this is for a client that does not read.
            async with asyncio.timeout(call.deadline.remaining()):
                metadata = await exchange.headers()
                if metadata is not None:
                    await client.start(metadata)
                while (message := await exchange.receive()) is not None:
                    await client.send(message)
                return await exchange.outcome
        except TimeoutError:
            raise DeadlineExceeded("the stream's time was up before it ended") from None
        finally:
            exchange.abandon()
            upload.cancel()
            await asyncio.wait([upload])

    async def aclose(self) -> None:
        """Drop all connections; what is under way on them breaks."""
        self._closed = True
        if self._connecting is not None:
            self._connecting.cancel()
            await asyncio.wait([self._connecting])
        for connection in list(self._connections):
            connection.abort()
        if self._connections:
            await self._empty.wait()

    def _free(self) -> TritonConnection | None:
        """The first connection that takes a request at once, if there is one."""
        best = None
        for connection in self._connections:
            if connection.retired or connection.full:
                continue
            if not connection.congested:
                return connection
            best = best or connection
        if best is not None and len(self._connections) < _MAX_CONNECTIONS:
            self._connect()  # for those that come later; this one waits its turn
        return best

    async def _connected(self, call: Call) -> TritonConnection:
        """Wait for a connection.

        Raises:
            UpstreamUnavailable: there is none to be had.
            DeadlineExceeded: it took too long.
        """
        for _ in range(_ATTEMPTS):
            if self._closed:
                raise UpstreamUnavailable("the gateway is stopping")
            left = call.deadline.remaining()
            if not left:
                raise DeadlineExceeded("the request's time was up before Triton could be reached")
            if self._connecting is None:
                in_use = [connection for connection in self._connections if not connection.retired]
                if len(in_use) >= _MAX_CONNECTIONS:
                    raise UpstreamUnavailable("Triton takes no more requests at a time; try again shortly")
                if time.monotonic() - self._failed_at < _RETRY_SECONDS:
                    raise UpstreamUnavailable(_UNREACHABLE)
            await asyncio.wait([self._connect()], timeout=left)
            connection = self._free()
            if connection is not None:
                return connection
        raise UpstreamUnavailable(_UNREACHABLE)

    def _connect(self) -> asyncio.Task[None]:
        """Open one more connection, once for all who wait."""
        if self._connecting is None:
            self._connecting = asyncio.create_task(self._open(), name="connect to Triton")
        return self._connecting

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        host, _, port = self._address.rpartition(":")
        connection = TritonConnection(
            self._address, _HEADER_BYTES, self._limits.max_decompression_ratio, self._buffer, self._lost
        )
        try:
            async with asyncio.timeout(self._limits.connect_timeout_seconds):
                await loop.create_connection(lambda: connection, host.strip("[]"), int(port))
                await connection.ready
            if connection.lost:
                raise ConnectionError
            self._connections.append(connection)
            self._empty.clear()
        except (OSError, TimeoutError):
            self._failed_at = time.monotonic()
            connection.abort()
        except BaseException:
            connection.abort()
            raise
        finally:
            self._connecting = None

    def _lost(self, connection: TritonConnection) -> None:
        if connection in self._connections:
            self._connections.remove(connection)
            if not self._connections:
                self._empty.set()


async def _upload(client: ClientStream, exchange: StreamingExchange) -> None:
    """Pass on what the client says until it has said all, or nobody listens any more."""
    try:
        while (message := await client.receive()) is not None:
            if not await exchange.send(message):
                return
        exchange.connection.send_end(exchange)
    except GatewayError as error:
        exchange.fail(error)
    except Exception:
        exchange.fail(ClientGone("the client's stream broke"))
        raise
