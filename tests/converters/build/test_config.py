from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from converters.build.config import EnginesConfig, load
from converters.errors import ConfigError

SMALL = """
targets:
  rtx: {builder: tensorrt_rtx, compute_capabilities: [75, 120]}
models:
  pitch:
    source: ../model_repository/pitch
    variants:
      fp16: {precision: fp16}
    targets: [rtx]
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "engines.yaml"
    path.write_text(text)
    return path


def refusal(tmp_path: Path, text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        load(written(tmp_path, text))
    return str(caught.value).replace(str(tmp_path), "")


def test_a_small_file_is_enough(tmp_path: Path) -> None:
    config = load(written(tmp_path, SMALL))
    model = config.models["pitch"]
    assert (model.batch.min, model.batch.opt, model.batch.max) == (1, 8, 32)
    assert config.published_name("pitch", "fp16", "rtx") == "pitch_fp16_rtx"
    assert load(written(tmp_path, SMALL), ("jobs=1",)).jobs == 1


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("precision: fp16", "precison: fp16", "/engines.yaml:8: unknown key 'models.pitch.variants.fp16.precison'"),
        ("precision: fp16", "precision: fp12", "variants.fp16.precision: input should be 'fp32', 'fp16'"),
        ("targets: [rtx]", "targets: [gpu]", "models.pitch: there is no target 'gpu'; known: rtx"),
        ("precision: fp16", "precision: int8", "models.pitch.variants.fp16: int8 needs data.calibration"),
        ("builder: tensorrt_rtx", "builder: tensort", "/engines.yaml:3: targets.rtx.builder: input should be"),
        ("    targets: [rtx]", "    batch: {min: 4, opt: 2}", "min, opt and max must ascend; here are 4, 2 and 32"),
        (
            "    targets: [rtx]",
            "    data: {calibration: {npz: a.npz, folder: b}}",
            "give exactly one of npz, folder, generator, recorded, synthetic; here are npz, folder",
        ),
        (
            "compute_capabilities: [75, 120]",
            "name: '{modle}'",
            "name may hold {model}, {variant} and {target}, and no other braces",
        ),
        (
            "compute_capabilities: [75, 120]}",
            "name: '{model}'}\n  other: {builder: onnxruntime, name: '{model}'}",
            "",
        ),
    ],
)  # fmt: skip
def test_mistakes_are_told_with_their_place(tmp_path: Path, old: str, new: str, message: str) -> None:
    text = SMALL.replace(old, new)
    if message:
        assert message in refusal(tmp_path, text)
        return
    twice = refusal(tmp_path, text.replace("targets: [rtx]", "targets: [rtx, other]"))
    assert "two results would be published as 'pitch'; set the targets' `name` apart" in twice


def sections(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from sections(inner)


def test_every_field_says_what_it_is() -> None:
    silent = {
        f"{section.__name__}.{name}"
        for section in sections(EnginesConfig)
        for name, field in section.model_fields.items()
        if not field.description
    }
    assert silent == set()


def test_modelopt_leaves_the_rest_in_fp32(tmp_path: Path) -> None:
    both = "{precision: int8, quantiser: modelopt, rest: fp16}"
    told = refusal(tmp_path, SMALL.replace("{precision: fp16}", both))
    assert "models.pitch.variants.fp16: modelopt leaves the rest in FP32; leave `rest` out" in told
