from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from typed_yaml.read import Mistake, read


class Closed(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Leaf(Closed):
    size: int = 1


class Branch(Closed):
    leaf: Leaf | None = None
    leaves: dict[str, Leaf] = {}
    listed: tuple[Leaf, ...] = ()


class Tree(Closed):
    branches: dict[str, Branch | None] = {}


def refusal(text: str, tmp_path: Path) -> str:
    path = tmp_path / "tree.yaml"
    path.write_text(text)
    with pytest.raises(Mistake) as caught:
        read(Tree, path)
    return str(caught.value).replace(str(path), "tree.yaml")


def test_mappings_of_sections_are_read_by_their_names(tmp_path: Path) -> None:
    path = tmp_path / "tree.yaml"
    path.write_text("branches:\n  oak: {leaves: {top: {size: 3}}}\n")
    assert read(Tree, path) == Tree(branches={"oak": Branch(leaves={"top": Leaf(size=3)})})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "branches:\n  oak:\n    leavs: {}\n",
            "tree.yaml:3: unknown key 'branches.oak.leavs'; did you mean 'leaves'?",
        ),
        (
            "branches:\n  oak:\n    leaves:\n      top:\n        sise: 3\n",
            "tree.yaml:5: unknown key 'branches.oak.leaves.top.sise'; did you mean 'size'?",
        ),
        (
            "branches:\n  oak:\n    listed:\n    - size: 2\n    - zzz: 3\n",
            "tree.yaml:5: unknown key 'branches.oak.listed.1.zzz'; known here: size",
        ),
        (
            "branches:\n  leaves:\n    laef: {size: 3}\n",
            "tree.yaml:3: unknown key 'branches.leaves.laef'; did you mean 'leaf'?",
        ),
    ],
)
def test_a_mistake_below_a_name_that_the_user_chose_is_told_with_what_is_allowed_there(
    tmp_path: Path, text: str, message: str
) -> None:
    assert refusal(text, tmp_path) == message


def test_what_is_no_file_and_what_is_no_yaml_are_told(tmp_path: Path) -> None:
    with pytest.raises(Mistake, match="there is no such file; name another with --config"):
        read(Tree, tmp_path / "none.yaml")
    assert refusal("branches: [\n", tmp_path).startswith("tree.yaml:2: this is not YAML")
    assert refusal("- 1\n", tmp_path) == "tree.yaml:1: expected keys such as `branches:`, found list"
