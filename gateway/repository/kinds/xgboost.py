"""XGBoost models: JSON or UBJSON, served as they are."""

from __future__ import annotations

import functools
import json
import re
import shutil
import warnings
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
    Forest,
    answer_of,
    check_equal,
    describe,
    listed,
    open_forest,
    probes,
    with_gaps,
)
from gateway.repository.kinds.ubjson import is_whole

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_HEAD = 4096  # bytes that tell the formats apart
_JSON, _UBJSON, _BINARY, _DUMP = "json", "ubj", "binary", "dump"
_FORMATS = {
    _JSON: re.compile(rb'\s*\{\s*"(?:learner"\s*:\s*\{|version"\s*:\s*\[\s*\d+\s*,.{,40}"learner"\s*:)', re.DOTALL),
    # A key of UBJSON: the type of its length, the length, the name.
    _UBJSON: re.compile(rb"\{[UiIlL]\0{0,7}\x07(?:learner\{|version\[)"),
    _BINARY: re.compile(rb"binf|[^{].{,400}[\x04-\x08]\0{7}(?:gbtree|gblinear|dart)", re.DOTALL),
    _DUMP: re.compile(rb'\s*\[\s*\{\s*"nodeid"\s*:'),
}
# What XGBoost puts before a message: the time and its source file.
_NOISE = re.compile(r"^\[[\d:]+\] (?:\S+:\d+: )?")
_NO_NAMES: Mapping[str, Any] = {"enc": [], "feature_segments": [], "sorted_idx": []}


class XGBoostKind:
    """XGBoost, served by the backend `fil`."""

    name = "xgboost"
    title = "XGBoost (.json, .ubj)"

    def recognise(self, source: Path) -> bool:
        """By the first bytes, whatever the file is called."""
        return _format(source) is not None

    def companions(self, source: Path) -> tuple[Path, ...]:
        """None: the model is one file."""
        del source
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The model as `xgboost.json` or `xgboost.ubj`.

        Raises:
            ModelRefused: it is of a format or of a kind that is not served, or would not answer as XGBoost does.
        """
        form = _servable_format(source)
        path = target.version / f"xgboost.{form}"
        shutil.copyfile(source, path)
        booster = _load(path, source.name)
        learner = json.loads(booster.save_config())["learner"]
        _refuse_what_has_no_trees(learner, source.name)
        notes: list[str] = []
        booster, path = _without_late_rounds(booster, path, notes)
        path = _without_category_names(booster, path, notes)
        forest, parameters = _forest(path, source.name)
        objective = learner["objective"]["name"]
        answer = _answer(booster, objective, forest)
        for rows in (probes(forest), with_gaps(probes(forest))):
            own = _predict(booster, rows, answer, objective)
            check_equal("XGBoost", own, forest.predict(rows, answer), hints.tolerance)
        return describe(
            self.name,
            path,
            forest,
            answer,
            model_type=f"xgboost_{path.suffix[1:]}",
            parameters=parameters,
            ambiguous=notes,
            origin=_origin(booster, form, objective, answer),
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What `Booster.inplace_predict` gives, or `predict_proba` where `XGBClassifier` was saved."""
        import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

        rows = inputs[INPUT]
        booster = _load(version / description.filename, description.filename)
        own = _predict(booster, rows, answer_of(description), description.origin["objective"])
        return {OUTPUT: np.asarray(own, np.float32).reshape(len(rows), *description.outputs[0].shape[1:])}


def _format(source: Path) -> str | None:
    try:
        with source.open("rb") as file:
            head = file.read(_HEAD)
    except OSError:
        return None
    return next((name for name, pattern in _FORMATS.items() if pattern.match(head)), None)


def _servable_format(source: Path) -> str:
    form = _format(source)
    if form == _BINARY:
        raise ModelRefused(
            f"'{source.name}' is in XGBoost's old binary format, which XGBoost itself no longer reads; load it with "
            f"xgboost.Booster(model_file='{source.name}') of XGBoost 1.0 to 3.0, and save it with "
            f"booster.save_model('{source.stem}.json')"
        )
    if form == _DUMP:
        raise ModelRefused(
            f"'{source.name}' is what dump_model writes for people to read, and cannot be loaded again; save the model "
            f"with booster.save_model('{source.stem}.json')"
        )
    return form or _JSON


def _load(path: Path, name: str) -> Any:
    try:
        import xgboost  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox
    except ImportError:
        raise ModelRefused(
            "XGBoost is not installed here, and without it this model cannot be checked; install the extra: "
            "pip install 'triton-gateway[trees]'"
        ) from None
    if path.suffix == ".ubj" and not is_whole(path.read_bytes()):
        raise ModelRefused(
            f"'{name}' cannot be read by XGBoost {xgboost.__version__}: it is cut short or damaged; copy it again, or "
            "save it again with booster.save_model"
        )
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of versions and of settings that no prediction needs
            return xgboost.Booster(model_file=str(path))
    except Exception as error:  # XGBoost's own, and of its JSON parser
        reason = _NOISE.sub("", str(error).split("Stack trace")[0])
        raise ModelRefused(
            f"'{name}' cannot be read by XGBoost {xgboost.__version__}: {' '.join(reason.split())[:300]}; "
            "copy it again, or save it again with booster.save_model"
        ) from None


def _refuse_what_has_no_trees(learner: Mapping[str, Any], name: str) -> None:
    if learner["learner_train_param"]["booster"] == "gblinear":
        raise ModelRefused(
            f"'{name}' is a linear model (booster='gblinear'), which has no trees; train it with booster='gbtree', or "
            "take LogisticRegression or Ridge of scikit-learn"
        )


def _without_late_rounds(booster: Any, path: Path, notes: list[str]) -> tuple[Any, Path]:
    """What a model of scikit-learn's kind answers with after early stopping: the rounds up to the best."""
    attributes = booster.attributes()
    rounds, best = booster.num_boosted_rounds(), int(attributes.get("best_iteration", -1)) + 1
    if not 0 < best < rounds:
        return booster, path
    if "scikit_learn" not in attributes:
        notes.append(
            f"training stopped early: all {rounds} rounds are served, as Booster.predict takes them; to serve the best "
            f"{best} only, save booster[:{best}]"
        )
        return booster, path
    notes.append(
        f"training stopped early: the best {best} of {rounds} rounds are served, as the model itself takes them"
    )
    booster = booster[:best]
    booster.save_model(path)
    return booster, path


def _without_category_names(booster: Any, path: Path, notes: list[str]) -> Path:
    """The names of categories that a data frame had, which Triton's backend does not know, are taken out."""
    columns = [index for index, kind in enumerate(booster.feature_types or ()) if kind == "c"]
    if not columns:
        return path
    names = booster.feature_names or [f"f{index}" for index in range(booster.num_features())]
    notes.append(
        f"categorical features take the number of the category as it was in training, from 0: "
        f"{listed(names[index] for index in columns)}"
    )
    document = json.loads(bytes(booster.save_raw("json")))
    gradient = document["learner"]["gradient_booster"]
    model = gradient.get("gbtree", gradient)["model"]
    if not model.get("cats", _NO_NAMES)["enc"]:
        return path
    model["cats"] = dict(_NO_NAMES)
    path.unlink()
    path = path.with_suffix(".json")
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


def _forest(path: Path, name: str) -> tuple[Forest, Mapping[str, str]]:
    """The trees, and what the configuration must say so that they can be read."""
    import treelite.frontend  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    load = functools.partial(
        treelite.frontend.load_xgboost_model, path, format_choice="json" if path.suffix == ".json" else "ubjson"
    )
    try:
        return open_forest(load, name, "XGBoost model"), {}
    except ModelRefused:  # a newer XGBoost may have written what this Treelite does not know
        tolerant = functools.partial(load, allow_unknown_field=True)
        return open_forest(tolerant, name, "XGBoost model"), {"xgboost_allow_unknown_field": "true"}


def _answer(booster: Any, objective: str, forest: Forest) -> Answer:
    """What `predict_proba` gives where scikit-learn's interface wrote the file, else what `Booster.predict` gives."""
    classifier = '"classifier"' in booster.attributes().get("scikit_learn", "")
    if objective == "multi:softprob" or (classifier and forest.targets == 1):
        return Answer.PROBABILITIES
    return Answer.CLASS if objective == "multi:softmax" else Answer.SCORES


def _predict(booster: Any, rows: Array, answer: Answer, objective: str) -> Array:
    import numpy as np  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox

    if answer is Answer.PROBABILITIES and objective == "multi:softmax":
        margins = booster.inplace_predict(rows, predict_type="margin")
        powers = np.exp(margins - margins.max(axis=1, keepdims=True))
        softmax: Array = powers / powers.sum(axis=1, keepdims=True)
        return softmax
    own: Array = booster.inplace_predict(rows)
    return np.stack([1 - own, own], axis=1) if answer is Answer.PROBABILITIES and own.ndim == 1 else own


def _origin(booster: Any, form: str, objective: str, answer: Answer) -> dict[str, str]:
    likes = {Answer.PROBABILITIES: "predict_proba", Answer.CLASS: "Booster.predict", Answer.SCORES: "Booster.predict"}
    origin = {
        "format": {"json": "XGBoost JSON", "ubj": "XGBoost UBJSON"}[form],
        "objective": objective,
        "answers": f"as {likes[answer]} of XGBoost",
    }
    if booster.feature_names:
        origin["features"] = listed(booster.feature_names)
    return origin
