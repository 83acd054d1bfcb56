from __future__ import annotations

from pathlib import Path

import pytest

from converters.data.generator import GeneratorDataset
from converters.errors import BadData, ConfigError, ConversionError


def data(folder: Path, body: str, **options: int) -> GeneratorDataset:
    lines = "".join(f"    {line}\n" for line in body.splitlines())
    (folder / "own.py").write_text(f"import itertools\nimport numpy as np\n\ndef make():\n{lines}")
    return GeneratorDataset("own.py:make", base=folder, **options)


def test_random_numbers_are_drawn_once(tmp_path: Path) -> None:
    made = data(tmp_path, "for _ in range(3):\n    yield {'x': np.random.default_rng().normal(size=(2, 2))}")
    assert [feeds["x"].tolist() for feeds in made] == [feeds["x"].tolist() for feeds in made]
    assert len(made) == 3
    assert made.digest == made.digest
    assert made.origin == "own.py:make"


def test_one_buffer_that_is_filled_again_and_again(tmp_path: Path) -> None:
    made = data(tmp_path, "x = np.zeros(1)\nfor i in range(3):\n    x[0] = i\n    yield {'x': x}")
    assert [feeds["x"][0] for feeds in made] == [0, 1, 2]


def test_a_list_will_do(tmp_path: Path) -> None:
    assert len(data(tmp_path, "return [{'x': np.zeros(1)}, {'x': [[1.0, 2.0]]}]")) == 2


def test_only_so_many_of_an_endless_one(tmp_path: Path) -> None:
    endless = "for i in itertools.count():\n    yield {'x': np.full(4, i)}"
    assert len(data(tmp_path, endless, batches=5)) == 5
    with pytest.raises(BadData, match="yields more than 1000 batches; let it end"):
        len(data(tmp_path, endless))
    with pytest.raises(BadData, match="yields more than 1 MiB; limit the batches"):
        len(data(tmp_path, "while True:\n    yield {'x': np.zeros(1 << 16)}", largest=1 << 20))


def test_failures_are_told_in_the_users_file(tmp_path: Path) -> None:
    with pytest.raises(ConversionError, match=r"own\.py:6 with ZeroDivisionError"):
        len(data(tmp_path, "yield {'x': np.zeros(1)}\n1 / 0"))
    with pytest.raises(ConversionError, match=r"own\.py:5 with TypeError"):
        len(data(tmp_path, "return None + 1"))
    with pytest.raises(ConfigError, match="no function 'other'"):
        len(GeneratorDataset("own.py:other", base=tmp_path))


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("return 3", "gives a int; let it yield"),
        ("return {'x': np.zeros(1)}", "gives a dict"),
        ("yield [np.zeros(1)]", "batch 0 of own.py:make is a list, not a mapping"),
        ("yield {0: np.zeros(1)}", "not a mapping"),
        ("yield {'x': [[1], [1, 2]]}", "'x' in batch 0 of own.py:make is no array"),
        ("yield {'x': np.array([None])}", "holds Python objects"),
    ],
)
def test_what_is_no_data(tmp_path: Path, body: str, told: str) -> None:
    with pytest.raises(BadData) as caught:
        len(data(tmp_path, body))
    assert told in str(caught.value)


def test_strings_are_data(tmp_path: Path) -> None:
    (feeds,) = data(tmp_path, "yield {'x': np.array([b'a', 'b'], object)}")
    assert feeds["x"].tolist() == [b"a", "b"]
