from gateway.traffic.sequences import Sequences


def test_a_sequence_is_remembered_by_its_route_and_id_until_it_is_over() -> None:
    sequences = Sequences(60)
    sequences.remember("fraud", "1", "old", 0)
    sequences.remember("other", "1", "new", 0)
    assert sequences.find("fraud", "1", 1) == "old"
    assert sequences.find("other", "1", 1) == "new"
    assert sequences.find("fraud", "2", 1) is None
    sequences.forget("fraud", "1")
    sequences.forget("fraud", "1")
    assert sequences.find("fraud", "1", 1) is None


def test_each_request_prolongs_its_time() -> None:
    sequences = Sequences(60)
    sequences.remember("fraud", "1", "old", 0)
    sequences.remember("fraud", "2", "old", 1)
    assert sequences.find("fraud", "1", 59) == "old"
    assert sequences.find("fraud", "2", 61) is None
    assert sequences.find("fraud", "1", 118) == "old"
    assert sequences.find("fraud", "1", 178) is None


def test_the_one_idle_longest_makes_room() -> None:
    sequences = Sequences(60, most=2)
    for number in range(3):
        sequences.remember("fraud", str(number), "old", 0)
        sequences.find("fraud", "0", 0)
    assert [sequences.find("fraud", str(number), 0) for number in range(3)] == ["old", None, "old"]


def test_a_sequence_may_begin_anew_elsewhere() -> None:
    sequences = Sequences(60, most=1)
    sequences.remember("fraud", "1", "old", 0)
    sequences.remember("fraud", "1", "new", 0)
    assert sequences.find("fraud", "1", 0) == "new"
