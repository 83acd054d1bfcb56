"""Everything that can go wrong, as one tree that knows no protocol.

Three kinds: the caller's fault (`InvalidRequest` and below), the peer's fault (`UpstreamError` and below), and the
operator's (`SetupError` and below), which never reach a client. `wire/status.py` is the one table from the first two
to HTTP and gRPC. A message says what was wrong, where, and what to do; it goes to the client as it is, so it never
holds an internal address, path or traceback.
"""


class GatewayError(Exception):
    """Base of every error that the gateway raises on purpose."""

    retry_after: int | None = None
    """Seconds after which to try again, for what passes by itself."""

    variant: str = ""
    """The name of the route's target that it happened at; empty for none."""

    @property
    def message(self) -> str:
        """What was wrong, where, and what to do."""
        return str(self.args[0]) if self.args else type(self).__name__


class InvalidRequest(GatewayError):
    """The request breaks the protocol."""


class MalformedMessage(InvalidRequest):
    """The request's bytes cannot be parsed at all."""


class UnknownRoute(InvalidRequest):
    """No such endpoint: what is not in the route table is refused."""


class MethodNotAllowed(InvalidRequest):
    """The endpoint exists, but not with this HTTP method."""

    def __init__(self, message: str, allowed: str) -> None:
        super().__init__(message)
        self.allowed = allowed


class RequestTooLarge(InvalidRequest):
    """The request is larger than the configured limit."""


class UnsupportedFeature(InvalidRequest):
    """The protocol has it, this gateway does not serve it."""


class Forbidden(InvalidRequest):
    """The operation exists and is switched off, or the request asks for what clients may not have."""


class Overloaded(GatewayError):
    """There is no room for this request right now; nothing was sent to Triton."""

    retry_after = 1


class ShuttingDown(GatewayError):
    """The gateway finishes what it has and takes nothing new."""

    retry_after = 1


class ClientGone(GatewayError):
    """The client went away; nobody reads an answer."""


class DeadlineExceeded(GatewayError):
    """The request's time was up."""

    retry_after = 1

    @property
    def message(self) -> str:
        """What was not done in time, and what to do."""
        return (
            f"{super().message}; give it more time (up to the gateway's limits.deadline_seconds), "
            "send less at once, or try again when there is less to do"
        )


class UpstreamError(GatewayError):
    """Triton could not be asked, or did not answer properly."""

    retry_after = 1


class UpstreamUnavailable(UpstreamError):
    """Nothing was sent: Triton cannot be reached right now, so asking again is safe."""


class UpstreamBroken(UpstreamError):
    """The connection broke after the request went out: it may or may not have been executed."""


class SequenceLost(UpstreamError):
    """The Triton that held the sequence's state is gone: the sequence must be started again."""


class SetupError(GatewayError):
    """The gateway cannot start; the message is one line that says what to do."""


class ConfigError(SetupError):
    """The configuration is wrong; the message names the file, the line and the fix."""


class ModelRefused(SetupError):
    """A model cannot be served; the message tells a data scientist why, and what to do."""
