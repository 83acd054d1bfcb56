import msgspec

from gateway.tap.exchange import Answer, Exchange

ANSWER = Answer("stable", "m", "1", 200, b"12345", None, "", "", 0.01)
EXCHANGE = Exchange("record", "r", "", "", "http", "m", "", "id", "t", 1, b"123", None, (ANSWER, ANSWER))


def test_its_size_is_that_of_its_bodies() -> None:
    assert EXCHANGE.size == 3 + 5 + 5


def test_it_travels_as_message_pack() -> None:
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(EXCHANGE), type=Exchange) == EXCHANGE
