"""The parameters of requests and tensors that mean something to Triton, whichever protocol wrote them.

Clients may add parameters of their own; a few names are Triton's, and each of those has one type.

Source: Triton's docs/protocol/extension_{parameters,sequence,schedule_policy,shared_memory}.md.
"""

from __future__ import annotations

from typing import NoReturn

from gateway.core.call import Sequence
from gateway.core.errors import Forbidden, InvalidRequest

RESERVED_PREFIX = "triton_"
RESERVED = "headers"
FINAL_RESPONSE = "triton_enable_empty_final_response"
"""The one parameter of that prefix which clients may send: Triton's own do so over gRPC."""
SHARED_MEMORY = "shared_memory_"
MEANINGFUL = frozenset(
    {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout", "binary_data_output", RESERVED}
)
"""Names that need a look, beside those with the reserved prefix."""

_MOST = 2**64 - 1
_MOST_ID_BYTES = 128  # Triton's own limit


def check(name: str, value: object, place: str) -> None:
    """Refuse a request's parameter that is not the client's to set, or has the wrong type.

    Args:
        name: one of `MEANINGFUL`, or one with the reserved prefix.
        value: what was sent: a bool, int, float, str or something that no parameter can be.
        place: the object that holds the parameter, for the message.

    Raises:
        InvalidRequest: it is one of these.
    """
    if name == RESERVED or name.startswith(RESERVED_PREFIX):
        raise InvalidRequest(f"{place}{name} is reserved for Triton and cannot be set by a client; leave it out")
    if name == "sequence_id":
        if isinstance(value, str):
            if len(value.encode("utf-8", "surrogatepass")) > _MOST_ID_BYTES:
                raise InvalidRequest(f"{place}sequence_id is longer than {_MOST_ID_BYTES} bytes; use a shorter one")
        elif not _is_count(value):
            _wrong(place + name, "a whole number from 0 to 2^64-1, or a text")
    elif name in {"priority", "timeout"}:
        if not _is_count(value):
            _wrong(place + name, "a whole number from 0 to 2^64-1")
    elif not isinstance(value, bool):
        _wrong(place + name, "true or false")


def sequence_of(values: dict[str, object]) -> Sequence | None:
    """The sequence that checked parameters tell of; Triton takes the ids 0 and "" for none."""
    number = values.get("sequence_id")
    if not number:
        return None
    return Sequence(str(number), bool(values.get("sequence_start")), bool(values.get("sequence_end")))


def refuse_shared_memory(place: str) -> NoReturn:
    """Refuse a tensor that lies in memory of Triton's host.

    Raises:
        Forbidden: always.
    """
    raise Forbidden(
        f"{place}: shared memory is switched off at this gateway; send the tensor's bytes, "
        "or have its operator switch it on with admin.shared_memory: true"
    )


def refuse_repeated(name: str, place: str) -> NoReturn:
    """Refuse two inputs or outputs of one name.

    Raises:
        InvalidRequest: always.
    """
    raise InvalidRequest(f"{place}: {name!r} is given twice; name each tensor once")


def _is_count(value: object) -> bool:
    return type(value) is int and 0 <= value <= _MOST


def _wrong(what: str, needed: str) -> NoReturn:
    raise InvalidRequest(f"{what} must be {needed}")
