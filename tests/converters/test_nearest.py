from converters.nearest import nearest


def test_the_nearest_name_or_all_that_are_known() -> None:
    assert nearest("int9", ("fp16", "int8")) == "did you mean 'int8'?"
    assert nearest("zzz", ("fp16", "int8")) == "known here: fp16, int8"
    assert nearest("zzz", ()) == "known here: none"


def test_of_many_only_some_are_listed() -> None:
    told = nearest("zzz", [f"name{number}" for number in range(20)])
    assert told.startswith("known here: name0, name1, ")
    assert told.endswith(", name10, and 9 more")
