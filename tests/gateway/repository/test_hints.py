from pathlib import Path

import numpy as np
import pytest

from gateway.core.errors import ModelRefused
from gateway.repository.description import Hints, Tensor
from gateway.repository.hints import merge, parse_input, read_hints, sidecars


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "net.pt"
    path.write_bytes(b"")
    return path


def say(model: Path, text: str) -> Path:
    path = model.with_suffix(".yaml")
    path.write_text(text, encoding="utf-8")
    return path


def test_nothing_beside_a_model_says_nothing(model: Path) -> None:
    assert read_hints(model) == Hints()
    assert sidecars(model) == ()


def test_a_sidecar_says_all_there_is_to_say(model: Path) -> None:
    say(
        model,
        """
        inputs:
          - {name: image, datatype: float32, shape: [N, 3, 224, 224]}
          - {name: "scale:0", datatype: TYPE_FP32, shape: "", optional: true}
        outputs: [{name: scores, datatype: FP32, shape: -1x3}]
        batches: true
        max_batch_size: 8
        labels: {scores: [cat, dog, 3]}
        tolerance: 1e-3
        deterministic: false
        """,
    )
    assert read_hints(model) == Hints(
        inputs=(Tensor("image", "FP32", (-1, 3, 224, 224)), Tensor("scale:0", "FP32", (), optional=True)),
        outputs=(Tensor("scores", "FP32", (-1, 3)),),
        batches=True,
        max_batch_size=8,
        labels={"scores": ("cat", "dog", "3")},
        tolerance=0.001,
        deterministic=False,
    )


def test_files_that_a_sidecar_names_belong_to_the_drop(model: Path) -> None:
    yaml = say(model, "labels: {scores: classes.txt}\nsample: example.npz")
    labels, sample = model.with_name("classes.txt"), model.with_name("example.npz")
    labels.write_text("cat\ndog\n")
    np.savez(sample, image=np.zeros((1, 4), np.float32))
    hints = read_hints(model)
    assert hints.labels == {"scores": ("cat", "dog")}
    assert hints.sample == sample
    assert hints.inputs == (Tensor("image", "FP32", (-1, 4)),)
    assert set(sidecars(model)) == {yaml, labels, sample}


def test_a_sample_beside_a_model_is_found_and_leaves_open_whether_it_batches(model: Path) -> None:
    np.savez(model.with_suffix(".npz"), image=np.zeros((2, 4), np.float32))
    assert read_hints(model) == Hints((Tensor("image", "FP32", (-1, 4)),), sample=model.with_suffix(".npz"))
    assert sidecars(model) == (model.with_suffix(".npz"),)


def test_what_is_said_of_inputs_goes_before_what_a_sample_shows(model: Path) -> None:
    np.savez(model.with_suffix(".npz"), image=np.zeros((2, 4), np.float32))
    say(model, "batches: false")
    assert read_hints(model).inputs == (Tensor("image", "FP32", (2, 4)),)
    say(model, "inputs: [{name: image, datatype: FP32, shape: [-1, -1]}]")
    assert read_hints(model).inputs == (Tensor("image", "FP32", (-1, -1)),)


def test_a_folder_has_its_sidecars_inside(tmp_path: Path) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    (folder / "model.yaml").write_text("max_batch_size: 2")
    np.savez(folder / "sample.npz", a=np.zeros((2, 4), np.float32))
    (tmp_path / "net.yaml").write_text("max_batch_size: 3")
    hints = read_hints(folder)
    assert (hints.max_batch_size, hints.sample) == (2, folder / "sample.npz")
    assert sidecars(folder) == (folder / "model.yaml", folder / "sample.npz")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("batches: true\ninput: []", r"net\.yaml:2: unknown key 'input'; did you mean 'inputs'\?"),
        (
            "inputs:\n- name: a\n  dtype: FP32\n  datatype: FP32\n  shape: [1]",
            r"net\.yaml:3: unknown key 'inputs\.0\.dtype'; did you mean 'datatype'\?",
        ),
        ("inputs:\n- {name: a, shape: [1]}", r"net\.yaml:2: inputs\.0\.datatype: field required"),
        (
            "inputs:\n- {name: a, datatype: FP31, shape: [1]}",
            r"net\.yaml:2: inputs\.0\.datatype: 'FP31' is no datatype; did you mean FP",
        ),
        ("inputs:\n- {name: a, datatype: FP32, shape: [0]}", r"net\.yaml:2: inputs\.0\.shape: \[0\] is no shape"),
        ("max_batch_size: -1", r"net\.yaml:1: max_batch_size: input should be greater than or equal to 0"),
        ("tolerance: .nan", r"net\.yaml:1: tolerance: input should be a finite number"),
        ("labels: {a: [yes, no]}", r"net\.yaml:1: labels\.a: expected text, found True; put it in quotes"),
        ("labels: {a: 3}", r"net\.yaml:1: labels\.a: expected a list of labels, or the name of a file"),
        ("labels: {a: none.txt}", r"net\.yaml: labels\.a: there is no file 'none\.txt' beside it"),
        ("sample: none.npz", r"net\.yaml: sample: there is no file 'none\.npz' beside it"),
        ("sample: /etc/passwd", r"net\.yaml: '/etc/passwd' is outside of the folder"),
        ("labels: {a: ../../etc/passwd}", "is outside of the folder"),
        ("batches: [", r"net\.yaml:1: this is not YAML"),
        ("batches: true\nbatches: false", r"net\.yaml:2: 'batches' stands in line 1 already"),
        ("- a", r"net\.yaml:1: expected"),
        ("a: &a [x]\nb: [*a, *a]", r"net\.yaml: YAML aliases such as \*a are not taken"),
        ("\x00", r"net\.yaml: this is not YAML: unacceptable character"),
        ("[" * 200_000, r"net\.yaml: lists and sections are nested more than 10 deep"),
        (
            "inputs: [{name: a, datatype: FP32, shape: [1]}, {name: a, datatype: FP32, shape: [2]}]",
            r"net\.yaml: inputs: 'a' is there twice; keep one",
        ),
    ],
)
def test_a_mistake_is_told_with_its_place(model: Path, text: str, message: str) -> None:
    say(model, text)
    with pytest.raises(ModelRefused, match=message):
        read_hints(model)
    assert model.with_suffix(".yaml") in sidecars(model)


def test_a_link_does_not_lead_out_of_the_folder(model: Path, tmp_path: Path) -> None:
    inside = tmp_path / "drop"
    inside.mkdir()
    (tmp_path / "secret.txt").write_text("x")
    (inside / "classes.txt").symlink_to(tmp_path / "secret.txt")
    (inside / "net.yaml").write_text("labels: {a: classes.txt}")
    with pytest.raises(ModelRefused, match=r"'classes\.txt' is outside of the folder"):
        read_hints(inside / "net.pt")


def test_a_file_that_is_too_large_or_no_text_is_refused(model: Path) -> None:
    say(model, "#" * (2**18 + 1))
    with pytest.raises(ModelRefused, match=r"net\.yaml: is larger than 256 KiB"):
        read_hints(model)
    model.with_suffix(".yaml").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(ModelRefused, match=r"net\.yaml: cannot be read"):
        read_hints(model)


def test_two_sidecars_for_one_model_are_refused(model: Path) -> None:
    say(model, "batches: true")
    model.with_suffix(".yml").write_text("batches: false")
    with pytest.raises(ModelRefused, match=r"net\.yaml and net\.yml both describe net\.pt; keep one"):
        read_hints(model)


@pytest.mark.parametrize(
    ("text", "tensor"),
    [
        ("image:FP32:-1,3,224,224", Tensor("image", "FP32", (-1, 3, 224, 224))),
        ("serving_default_x:0:float32:Nx3", Tensor("serving_default_x:0", "FP32", (-1, 3))),
        ("sr:int64:", Tensor("sr", "INT64", ())),
        ("text:BYTES:?", Tensor("text", "BYTES", (-1,))),
    ],
)
def test_an_input_is_read_from_the_command_line(text: str, tensor: Tensor) -> None:
    assert parse_input(text) == tensor


@pytest.mark.parametrize(
    "text", ["image", "image:FP32", ":FP32:1", "image:FP33x:1", "image:FP32:a b", "image:1,3:FP32"]
)
def test_an_input_of_another_form_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ModelRefused, match=f"--input {text}: .*expected NAME:DTYPE:DIMS, for example image:FP32:-1,3"):
        parse_input(text)


def test_of_two_hints_the_later_wins_where_it_says_something(tmp_path: Path) -> None:
    a, b, other = Tensor("a", "FP32", (1,)), Tensor("b", "FP32", (1,)), Tensor("a", "INT8", (2,))
    first = Hints(
        inputs=(a, b),
        batches=True,
        max_batch_size=4,
        labels={"x": ("1",), "y": ("2",)},
        tolerance=0.1,
        deterministic=False,
    )
    assert merge(first, Hints()) == first
    assert merge(Hints(), first) == first
    assert merge(first, Hints(inputs=(other,), batches=False, labels={"x": ("3",)}, sample=tmp_path)) == Hints(
        inputs=(other, b),
        sample=tmp_path,
        batches=False,
        max_batch_size=4,
        labels={"x": ("3",), "y": ("2",)},
        tolerance=0.1,
        deterministic=False,
    )
