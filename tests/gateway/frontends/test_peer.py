import asyncio
from typing import Any

import pytest

from gateway.frontends.peer import address_of


class Named(asyncio.BaseTransport):
    """A connection whose other end is called `name`."""

    def __init__(self, name: object) -> None:
        super().__init__({"peername": name})


@pytest.mark.parametrize(
    ("name", "address"),
    [
        (("10.0.0.7", 40000), "10.0.0.7"),
        (("2001:db8::1", 40000, 0, 0), "2001:db8::1"),
        (("fe80::1%eth0", 40000, 0, 2), "fe80::1"),
        (("::ffff:10.0.0.7", 40000, 0, 0), "10.0.0.7"),
        (("::ffff", 40000, 0, 0), "::ffff"),
        ("/run/gateway.sock", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_its_text_alone(name: Any, address: str) -> None:
    assert address_of(Named(name)) == address
