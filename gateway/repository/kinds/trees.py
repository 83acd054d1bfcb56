"""What the kinds of tree models share: Treelite opens the file, and scores rows as the backend `fil` will."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import ANY, Description, Tensor

if TYPE_CHECKING:
    import numpy as np

    from gateway.repository.kinds.base import Array

INPUT = "input__0"
OUTPUT = "output__0"

_BINARY, _MULTICLASS = 0, 2  # of Treelite's `task_type`
_NUMBER_NODE, _CATEGORY_NODE = 1, 2  # of Treelite's `node_type`
_PROBES = 64
_TREES_PROBED = 200
_ZERO = 1e-30  # LightGBM splits at 1e-35 to tell zero from the rest, and takes smaller numbers for zero
_LISTED = 1000  # characters

# What Treelite puts before a message: the time, its source file, and the C++ expression that failed.
_NOISE = re.compile(r"^\[[\d:]+\] \S+: (?:Check failed: .*?: )?")


class Answer(Enum):
    """What a model is to answer; the value is what the configuration says: `output_class`, `predict_proba`."""

    SCORES = ("false", "false")
    """What the trees add up to, as it is."""
    PROBABILITIES = ("true", "true")
    """Of all classes, also where the trees give only one of two."""
    CLASS = ("true", "false")
    """The number of the most likely class."""


@dataclass(frozen=True, slots=True)
class Forest:
    """A model of Treelite's.

    Attributes:
        model: of the type `treelite.Model`.
        features: of a row.
        targets: how many answers a row gets.
        classes: scores of each target.
        classifies: whether the file says that it is a classifier.
    """

    model: Any
    features: int
    targets: int
    classes: int
    classifies: bool

    def shape(self, answer: Answer) -> tuple[int, ...]:
        """Of the answer for one row."""
        if answer is Answer.CLASS:
            return (self.targets,)
        if self.targets > 1:
            return (self.targets, self.classes) if self.classes > 1 else (self.targets,)
        both = answer is Answer.PROBABILITIES and self.classes == 1
        return (2,) if both else (self.classes,)

    def predict(self, rows: Array, answer: Answer) -> np.ndarray[Any, Any]:
        """Answer [rows, features] as the backend does, in FP32."""
        import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox
        import treelite.gtil  # noqa: PLC0415 - as above

        scores = treelite.gtil.predict(self.model, rows)
        if answer is Answer.CLASS:
            scores = scores > 0.5 if self.classes == 1 else scores.argmax(axis=-1)
        shape = self.shape(answer)
        if shape == (2,) and scores.shape[1:] == (1, 1):
            scores = np.concatenate([1 - scores, scores], axis=-1)
        return np.asarray(scores, np.float32).reshape(len(rows), *shape)


def open_forest(load: Callable[[], Any], name: str, title: str) -> Forest:
    """The model that `load` makes with Treelite.

    Raises:
        ModelRefused: Treelite cannot read or run it; says why.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what it passes over: whether that matters shows in the answers
            model = load()
    except Exception as error:  # Treelite's own, and whatever an importer trips over
        reason = _NOISE.sub("", " ".join(str(error).split()))[:300] or type(error).__name__
        raise ModelRefused(f"'{name}' cannot be served as trees: Treelite says of this {title}: {reason}") from None
    header = model.get_header_accessor()
    targets, task = (int(header.get_field(field)[0]) for field in ("num_target", "task_type"))
    classes = int(max(header.get_field("num_class")))
    return Forest(model, int(model.num_feature), targets, classes, task in (_BINARY, _MULTICLASS))


def describe(  # noqa: PLR0913 - one argument for each thing that the kinds know apart
    kind: str,
    path: Path,
    forest: Forest,
    answer: Answer,
    *,
    model_type: str,
    parameters: Mapping[str, str] | None = None,
    ambiguous: Iterable[str] = (),
    origin: Mapping[str, str],
) -> Description:
    """The description of a model whose file is `path`."""
    output_class, predict_proba = answer.value
    settings = {"model_type": model_type, "output_class": output_class, "predict_proba": predict_proba}
    if answer is not Answer.SCORES:
        settings["threshold"] = "0.5"  # the native backend has no default of its own
    return Description(
        kind=kind,
        backend="fil",
        framework="trees",
        inputs=(Tensor(INPUT, "FP32", (ANY, forest.features)),),
        outputs=(Tensor(OUTPUT, "FP32", (ANY, *forest.shape(answer))),),
        batches=True,
        filename=path.name,
        size_bytes=path.stat().st_size,
        parameters={**settings, **(parameters or {})},
        ambiguous=tuple(ambiguous),
        origin={**origin, "trees": str(forest.model.num_tree)},
    )


def answer_of(description: Description) -> Answer:
    """What the description says is answered."""
    return Answer((description.parameters["output_class"], description.parameters["predict_proba"]))


def probes(forest: Forest) -> Array:
    """Rows [64, features] on which a forest has much to decide: values at, below and above its own thresholds.

    The values of categorical features are whole numbers, as frameworks differ in what they make of others.
    """
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    random = np.random.default_rng(0)
    rows = random.normal(size=(_PROBES, forest.features))
    thresholds, categories = _splits(forest)
    for feature, values in thresholds.items():
        offsets = random.choice([0.0, 0.0, 1.0], _PROBES) * random.normal(scale=np.std(values) or 1.0, size=_PROBES)
        rows[:, feature] = random.choice(values, _PROBES) + offsets
    rows[np.abs(rows) < _ZERO] = 0
    rows[:2] = [[0.0], [1.0]]
    for feature, numbers in categories.items():
        rows[:, feature] = random.integers(0, max(numbers) + 2, _PROBES)
    return rows.astype(np.float32)


def with_gaps(rows: Array) -> Array:
    """The same rows with a fifth of the values missing, which is NaN."""
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    return np.where(np.random.default_rng(1).random(rows.shape) < 0.2, np.float32(np.nan), rows)


def check_equal(framework: str, own: Array, served: Array, tolerance: float, *, why: str = "") -> float:
    """Hold what is served against what the framework itself gives.

    Args:
        framework: its name.
        own: its answer.
        served: the answer of what is served, to the same rows.
        tolerance: relative and absolute.
        why: what usually makes the difference, and what to do.

    Returns:
        the largest difference, which is within the tolerance.

    Raises:
        ModelRefused: they differ.
    """
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    own = np.asarray(own, np.float64).reshape(served.shape)
    wrong = ~np.isclose(served, own, rtol=tolerance, atol=tolerance, equal_nan=True)
    if wrong.any():
        row = int(np.argwhere(wrong)[0][0])
        raise ModelRefused(
            f"served, this model would not answer as {framework} does: for one of {len(own)} made-up rows "
            f"{_shown(served[row])} instead of {_shown(own[row])}{why and '; '}{why}"
        )
    return float(np.nanmax(np.abs(served - own), initial=0))


def listed(names: Iterable[object]) -> str:
    """Names with commas between them, cut where there are too many."""
    text = ", ".join(map(str, names))
    return text if len(text) <= _LISTED else f"{text[:_LISTED]}..."


def _shown(values: Array) -> str:
    return listed(f"{value:.6g}" for value in values.ravel()[:4])


def _splits(forest: Forest) -> tuple[dict[int, list[float]], dict[int, list[int]]]:
    """What each feature is compared with: numbers, and the numbers of categories."""
    thresholds: dict[int, list[float]] = {}
    categories: dict[int, list[int]] = {}
    for index in range(min(int(forest.model.num_tree), _TREES_PROBED)):
        tree = forest.model.get_tree_accessor(index)
        features, compared, kinds = (
            tree.get_field(name).tolist() for name in ("split_index", "threshold", "node_type")
        )
        chosen = tree.get_field("category_list").tolist()
        for feature, threshold, kind in zip(features, compared, kinds, strict=True):
            if kind == _NUMBER_NODE and math.isfinite(threshold):
                thresholds.setdefault(feature, []).append(threshold)
            elif kind == _CATEGORY_NODE:
                categories.setdefault(feature, []).extend(chosen)
    return thresholds, categories
