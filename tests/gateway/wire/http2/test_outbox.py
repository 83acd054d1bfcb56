from collections.abc import Callable, Iterable

from gateway.wire.http2.outbox import Outbox


class Socket:
    def __init__(self) -> None:
        self.writes: list[bytes] = []
        self.turn: list[Callable[[], object]] = []

    def write(self, data: bytes, /) -> None:
        self.writes.append(data)

    def writelines(self, pieces: Iterable[bytes | bytearray | memoryview], /) -> None:
        self.writes.append(b"".join(pieces))

    def end_turn(self) -> None:
        turn = list(self.turn)
        self.turn.clear()
        for function in turn:
            function()


def test_all_of_one_turn_is_one_write() -> None:
    socket = Socket()
    outbox = Outbox(socket, socket.turn.append)
    for data in (b"a", b"b", b"c"):
        outbox.write(data)
    assert socket.writes == []
    assert len(socket.turn) == 1
    socket.end_turn()
    outbox.write(b"d")
    socket.end_turn()
    assert socket.writes == [b"abc", b"d"]


def test_what_is_alone_does_not_wait_unless_others_do() -> None:
    socket = Socket()
    outbox = Outbox(socket, socket.turn.append)
    outbox.alone = True
    outbox.write(b"a")
    assert (socket.writes, socket.turn) == ([b"a"], [])
    outbox.alone = False
    outbox.write(b"b")
    outbox.alone = True
    outbox.write(b"c")
    socket.end_turn()
    assert socket.writes == [b"a", b"bc"]


def test_large_pieces_go_at_once_and_in_order() -> None:
    socket = Socket()
    outbox = Outbox(socket, socket.turn.append)
    outbox.write(b"a")
    outbox.writelines([b"b", memoryview(b"c")])
    outbox.write(b"d")
    outbox.flush()
    socket.end_turn()
    assert socket.writes == [b"abc", b"d"]


def test_nothing_is_written_to_a_socket_that_is_closed() -> None:
    socket = Socket()
    outbox = Outbox(socket, socket.turn.append)
    outbox.write(b"a")
    outbox.close()
    outbox.write(b"b")
    outbox.writelines([b"c"])
    socket.end_turn()
    assert socket.writes == []
