from benchmarks.machine import cpu_model, describe


def test_the_processor() -> None:
    text = "processor\t: 0\ncpu family\t: 6\nmodel\t\t: 207\nmodel name\t: A Processor @ 2 GHz\n"
    assert cpu_model(text) == "A Processor @ 2 GHz (family 6, model 207)"


def test_an_unknown_processor() -> None:
    assert cpu_model("") == "unknown"


def test_the_machine_is_described_without_its_name() -> None:
    found = describe()
    assert found["cores"] >= 1
    assert found["packages"]["numpy"]
    assert set(found["tools"]) == {"wrk", "h2load", "nginx"}
