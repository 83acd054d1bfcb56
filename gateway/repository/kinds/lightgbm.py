"""LightGBM models: the text that `Booster.save_model` writes, served as it is."""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.trees import (
    INPUT,
    OUTPUT,
    Answer,
    check_equal,
    describe,
    listed,
    open_forest,
    probes,
    with_gaps,
)

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_FILENAME = "model.txt"
_TEXT = (b"tree\nversion=", b"tree\r\nversion=")
_DUMP = b'{"name":"tree","version":'


class LightGBMKind:
    """LightGBM, served by the backend `fil`."""

    name = "lightgbm"
    title = "LightGBM (.txt)"

    def recognise(self, source: Path) -> bool:
        """By the first bytes, whatever the file is called."""
        try:
            with source.open("rb") as file:
                head = file.read(64)
        except OSError:
            return False
        return head.startswith(_TEXT) or head.replace(b" ", b"").replace(b"\n", b"").startswith(_DUMP)

    def companions(self, source: Path) -> tuple[Path, ...]:
        """None: the model is one file."""
        del source
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The model as `model.txt`.

        Raises:
            ModelRefused: it is damaged, has what Treelite cannot run, or would not answer as LightGBM does.
        """
        import treelite.frontend  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

        path = target.version / _FILENAME
        shutil.copyfile(source, path)
        text = path.read_text(encoding="utf-8", errors="replace")
        _refuse_unsupported(text, source)
        load = functools.partial(treelite.frontend.load_lightgbm_model, path)
        forest = open_forest(load, source.name, "LightGBM model")  # first: LightGBM itself aborts on some damaged files
        booster = _load(path, source.name)
        answer = Answer.PROBABILITIES if forest.classes > 1 else Answer.SCORES
        for rows in (probes(forest), with_gaps(probes(forest))):
            check_equal("LightGBM", booster.predict(rows), forest.predict(rows, answer), hints.tolerance)
        fields = _fields(text)
        return describe(
            self.name,
            path,
            forest,
            answer,
            model_type="lightgbm",
            ambiguous=_categories(fields, booster),
            origin={
                "format": f"LightGBM text {fields.get('version', '')}".strip(),
                "objective": fields.get("objective", "none"),
                "answers": "as Booster.predict of LightGBM",
                "features": listed(booster.feature_name()),
            },
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What `Booster.predict` gives."""
        import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

        rows = inputs[INPUT]
        own = _load(version / description.filename, description.filename).predict(rows)
        return {OUTPUT: np.asarray(own, np.float32).reshape(len(rows), *description.outputs[0].shape[1:])}


def _load(path: Path, name: str) -> Any:
    try:
        import lightgbm  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox
    except ImportError:
        raise ModelRefused(
            "LightGBM is not installed here, and without it this model cannot be checked; install the extra: "
            "pip install 'triton-gateway[trees]'"
        ) from None
    try:
        return lightgbm.Booster(model_file=str(path))
    except Exception as error:  # LightGBM's own, and of numbers that are cut short
        raise ModelRefused(
            f"'{name}' cannot be read by LightGBM {lightgbm.__version__}: {' '.join(str(error).split())[:300]}; "
            "copy it again, or save it again with booster.save_model"
        ) from None


def _refuse_unsupported(text: str, source: Path) -> None:
    if text.startswith("{"):
        raise ModelRefused(
            f"'{source.name}' is what dump_model writes for people to read, and cannot be loaded again; save the model "
            f"with booster.save_model('{source.stem}.txt')"
        )
    if "\nend of trees" not in text:
        raise ModelRefused(f"'{source.name}' was cut short: its trees have no end; copy or save it again")
    if "\nis_linear=1\n" in text:
        raise ModelRefused(
            f"'{source.name}' has linear models in its leaves (linear_tree=True), which no backend of Triton runs; "
            "train it without linear_tree"
        )
    if "\n[zero_as_missing: 1]" in text:
        raise ModelRefused(
            f"'{source.name}' was trained with zero_as_missing=True, which no backend of Triton runs; train it with "
            "NaN for missing values"
        )


def _fields(text: str) -> dict[str, str]:
    """The `key=value` lines before the first tree."""
    lines = text.split("\n\n", 1)[0].splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)


def _categories(fields: Mapping[str, str], booster: Any) -> tuple[str, ...]:
    # A feature's range is [least:greatest], or the categories 3:1:2 themselves, or "none" where it was never of use.
    ranges = zip(booster.feature_name(), fields.get("feature_infos", "").split(), strict=False)
    columns = [name for name, values in ranges if not values.startswith("[") and values != "none"]
    if not columns:
        return ()
    named = f", in the order {json.dumps(booster.pandas_categorical)[:300]}" if booster.pandas_categorical else ""
    return (
        f"categorical features take the number of the category as it was in training, from 0{named}: {listed(columns)}",
    )
