from gateway.upstreams.http_turns import Turns

Order = list["Waiter"]


class Waiter:
    """Remembers when its turn came."""

    def __init__(self, order: Order) -> None:
        self.order = order
        self.size = 0

    def begin(self, size: int) -> None:
        self.size = size
        self.order.append(self)


def test_there_is_a_turn_until_enough_is_on_its_way() -> None:
    turns = Turns(100)
    order: Order = []
    first, second, third = Waiter(order), Waiter(order), Waiter(order)
    assert turns.take(first, 99)
    assert turns.take(second, 99)
    assert not turns.take(third, 1)
    assert order == []


def test_what_is_larger_than_the_bound_has_its_turn_alone() -> None:
    turns = Turns(100)
    order: Order = []
    first, second = Waiter(order), Waiter(order)
    assert turns.take(first, 1000)
    assert not turns.take(second, 1000)
    turns.give(first)
    assert order == [second]
    assert second.size == 1000


def test_who_waits_longest_is_next() -> None:
    turns = Turns(100)
    order: Order = []
    first, *others = [Waiter(order) for _ in range(4)]
    assert turns.take(first, 100)
    assert [turns.take(other, 60) for other in others] == [False] * 3
    turns.give(first)
    assert order == others[:2]
    turns.give(others[0])
    assert order == others


def test_who_gives_up_before_its_turn_gets_none() -> None:
    turns = Turns(100)
    order: Order = []
    first, second, third = Waiter(order), Waiter(order), Waiter(order)
    assert turns.take(first, 100)
    assert not turns.take(second, 100)
    assert not turns.take(third, 100)
    turns.give(second)
    assert order == []
    turns.give(first)
    assert order == [third]


def test_giving_what_one_does_not_have_changes_nothing() -> None:
    turns = Turns(100)
    order: Order = []
    first, second, stranger = Waiter(order), Waiter(order), Waiter(order)
    turns.give(stranger)
    assert turns.take(first, 100)
    turns.give(stranger)
    assert not turns.take(second, 100)
    turns.give(first)
    turns.give(first)
    assert order == [second]
    assert not turns.take(first, 100)
