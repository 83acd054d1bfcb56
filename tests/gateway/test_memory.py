from gateway.memory import uninitialised


def test_the_room_is_a_bytearray_of_that_size() -> None:
    for size in (0, 1, 100, 1 << 20):
        room = uninitialised(size)
        assert type(room) is bytearray
        assert len(room) == size
        room[:] = b"x" * size
        assert room.count(b"x") == size
