"""scikit-learn models in `.skops` files: trees become a checkpoint of Treelite, all else ONNX. Never a pickle."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.core.errors import ModelRefused
from gateway.repository.description import Description, Hints
from gateway.repository.kinds import skops_onnx, skops_trees
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.onnx import OnnxKind
from gateway.repository.kinds.treelite import TreeliteKind

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_ZIP = b"PK\x03\x04"

# Types that scikit-learn's own estimators are made of beyond those that skops trusts by itself. Exact names: a prefix
# would let in what scikit-learn's modules import from elsewhere.
_TRUSTED = frozenset(
    {
        "functools.partial",  # what it calls is named, and so judged, by itself
        "numpy.dtype",
        "numpy.mean",
        "scipy.interpolate._bsplines.BSpline",
        "scipy.sparse._csr.csr_matrix",
        "sklearn._loss.loss.HalfTweedieLossIdentity",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor",
        "sklearn.feature_selection._univariate_selection.f_classif",
        "sklearn.feature_selection._univariate_selection.f_regression",
        "sklearn.gaussian_process._gpc._BinaryGaussianProcessClassifierLaplace",
        "sklearn.gaussian_process.kernels.ConstantKernel",
        "sklearn.gaussian_process.kernels.Matern",
        "sklearn.gaussian_process.kernels.Product",
        "sklearn.gaussian_process.kernels.RBF",
        "sklearn.gaussian_process.kernels.Sum",
        "sklearn.gaussian_process.kernels.WhiteKernel",
        "sklearn.metrics._classification.accuracy_score",
        "sklearn.metrics._classification.f1_score",
        "sklearn.metrics._classification.log_loss",
        "sklearn.metrics._dist_metrics.EuclideanDistance64",
        "sklearn.metrics._ranking.roc_auc_score",
        "sklearn.metrics._regression.mean_absolute_error",
        "sklearn.metrics._regression.mean_squared_error",
        "sklearn.metrics._regression.r2_score",
        "sklearn.metrics._regression.root_mean_squared_error",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",  # what it calls is named, and so judged, by itself
        "sklearn.model_selection._split.KFold",
        "sklearn.model_selection._split.StratifiedKFold",
        "sklearn.neighbors._ball_tree.BallTree",
        "sklearn.neighbors._kd_tree.KDTree",
        "sklearn.neural_network._stochastic_optimizers.AdamOptimizer",
        "sklearn.neural_network._stochastic_optimizers.SGDOptimizer",
        "sklearn.tree._tree.Tree",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils.validation.check_array",
    }
)
_OWN_FORMATS = {
    "xgboost": "model.save_model('{stem}.json')",
    "lightgbm": "model.booster_.save_model('{stem}.txt')",
    "catboost": "model.save_model('{stem}.onnx', format='onnx')",
}


class SkopsKind:
    """scikit-learn, served by the backend `fil` or by ONNX Runtime."""

    name = "skops"
    title = "scikit-learn (.skops)"

    def recognise(self, source: Path) -> bool:
        """By the ending."""
        return source.suffix.lower() == ".skops" and source.is_file()

    def companions(self, source: Path) -> tuple[Path, ...]:
        """None: the model is one file."""
        del source
        return ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The model as `checkpoint.tl`, or as `model.onnx` where it has more than trees.

        Raises:
            ModelRefused: it holds types that are not scikit-learn's, is no fitted estimator, or cannot be converted
                to something that answers as scikit-learn does.
        """
        estimator, notes = _load(source)
        name = f"the {type(estimator).__name__} in '{source.name}'"
        _check_fitted(estimator, name)
        estimator = getattr(estimator, "best_estimator_", estimator)  # of a search, which predicts by what it found
        if forest := skops_trees.supported(estimator):
            return skops_trees.prepare(forest, estimator, target, hints, name, notes)
        return skops_onnx.prepare(estimator, target, hints, name, notes)

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:
        """What Treelite or ONNX Runtime gives: that it equals scikit-learn's answers was checked in `prepare`."""
        kind = TreeliteKind() if description.backend == "fil" else OnnxKind()
        return kind.reference(version, description, inputs)


def _load(source: Path) -> tuple[Any, list[str]]:
    """The object in the file, and what is to be said of it."""
    try:
        import skops.io  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox
    except ImportError:
        raise ModelRefused(
            "skops and scikit-learn are not installed here; install the extra: pip install 'triton-gateway[trees]'"
        ) from None
    with source.open("rb") as file:
        if file.read(4) != _ZIP:
            raise ModelRefused(f"'{source.name}' is no skops file; save the model with skops.io.dump(model, FILE)")
    try:
        found = skops.io.get_untrusted_types(file=source)
        _refuse_foreign(found, source)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            return skops.io.load(source, trusted=found), _version_note(caught)
    except ModelRefused:
        raise
    except Exception as error:  # whatever a damaged or older file leads to
        raise ModelRefused(
            f"'{source.name}' cannot be read by skops: {type(error).__name__}: {' '.join(str(error).split())[:300]}; "
            "save it again with skops.io.dump, with the versions of scikit-learn and skops that are installed here"
        ) from None


def _refuse_foreign(found: Sequence[str], source: Path) -> None:
    foreign = [name for name in found if name not in _TRUSTED]
    if not foreign:
        return
    package = foreign[0].split(".")[0]
    way_out = "replace it by something of scikit-learn's, or export the model to ONNX"
    if package in _OWN_FORMATS:
        way_out = f"save the model itself with {_OWN_FORMATS[package].format(stem=source.stem)}"
    if package == "sklearn":
        way_out = "save only the part that predicts, such as search.best_estimator_, or export the model to ONNX"
    raise ModelRefused(
        f"'{source.name}' holds types that are not known as parts of scikit-learn's estimators, and might run any "
        f"code: {', '.join(foreign[:5])}; {way_out}"
    )


def _version_note(caught: Sequence[warnings.WarningMessage]) -> list[str]:
    """What scikit-learn says of a model that another version of it saved."""
    versions = {
        str(getattr(each.message, "original_sklearn_version", ""))
        for each in caught
        if type(each.message).__name__ == "InconsistentVersionWarning"
    }
    if not versions:
        return []
    import sklearn  # noqa: PLC0415 - imported by skops already

    saved = ", ".join(sorted(versions))
    return [f"saved with scikit-learn {saved} and read with {sklearn.__version__}: compare a few answers"]


def _check_fitted(estimator: Any, name: str) -> None:
    from sklearn.base import BaseEstimator  # noqa: PLC0415 - the kinds cost nothing outside of the sandbox
    from sklearn.exceptions import NotFittedError  # noqa: PLC0415 - as above
    from sklearn.utils.validation import check_is_fitted  # noqa: PLC0415 - as above

    if not isinstance(estimator, BaseEstimator):
        raise ModelRefused(f"{name} is no estimator of scikit-learn; save the fitted model alone with skops.io.dump")
    try:
        check_is_fitted(estimator)
    except NotFittedError:
        raise ModelRefused(f"{name} is not fitted; call its fit before skops.io.dump") from None
