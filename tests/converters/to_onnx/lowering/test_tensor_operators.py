from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
import onnxmltools
import pytest
from onnxmltools.convert.common.data_types import FloatTensorType
from skl2onnx import to_onnx
from sklearn import cluster, ensemble, feature_selection, linear_model, neural_network, preprocessing, svm, tree
from sklearn.impute import SimpleImputer
from sklearn.pipeline import make_pipeline

from converters.arrays import Array
from converters.errors import Unsupported
from converters.to_onnx.lowering.tensor_operators import TensorOperatorsFromOnnx, has_classical_operators
from tests.converters.to_onnx.lowering.conftest import Build, Compare, Model

RNG = np.random.default_rng(1)
ROWS = RNG.normal(size=(240, 6)).astype(np.float32)
SUMS = 2 * ROWS[:, 0] + ROWS[:, 1] * ROWS[:, 2]
THREE = np.digitize(SUMS, (-1.0, 1.0))
TWO = (SUMS > 0).astype(int)
HOLES = np.where(RNG.random(ROWS.shape) < 0.2, np.nan, ROWS).astype(np.float32)


def sklearn_models() -> dict[str, tuple[Callable[[], Any], Array | None]]:
    """Estimators by name, and what each learns."""
    forest, boosting = ensemble.RandomForestClassifier, ensemble.GradientBoostingClassifier
    linear, scaler = linear_model.LogisticRegression, preprocessing.StandardScaler
    return {
        "forest of 3": (lambda: forest(7, max_depth=5, random_state=1), THREE),
        "forest of 2": (lambda: forest(7, max_depth=5, random_state=1), TWO),
        "boosting of 2": (lambda: boosting(n_estimators=6, random_state=1), TWO),
        "boosting of 3": (lambda: boosting(n_estimators=6, random_state=1), THREE),
        "histogram boosting": (lambda: ensemble.HistGradientBoostingClassifier(max_iter=5, random_state=1), THREE),
        "extra trees": (lambda: ensemble.ExtraTreesRegressor(5, random_state=1), np.stack((SUMS, -SUMS), axis=1)),
        "tree": (lambda: tree.DecisionTreeRegressor(max_depth=4, random_state=1), SUMS),
        "adaptive boosting": (lambda: ensemble.AdaBoostClassifier(n_estimators=4, random_state=1), TWO),
        "bagging": (lambda: ensemble.BaggingClassifier(n_estimators=3, random_state=1), TWO),
        "isolation forest": (lambda: ensemble.IsolationForest(n_estimators=5, random_state=1), None),
        "logistic of 2": (linear, TWO),
        "logistic of 3": (linear, THREE),
        "linear machine": (lambda: svm.LinearSVC(random_state=1), TWO),
        "vector machine": (svm.SVC, THREE),
        "ridge": (linear_model.Ridge, SUMS),
        "network": (lambda: neural_network.MLPClassifier((5,), max_iter=400, tol=1e-2, random_state=1), THREE),
        "clusters": (lambda: cluster.KMeans(3, n_init=1, random_state=1), None),
        "imputed and scaled": (lambda: make_pipeline(SimpleImputer(), scaler(), linear()), TWO),
        "selected and scaled": (
            lambda: make_pipeline(
                feature_selection.SelectKBest(k=3), preprocessing.Normalizer(), tree.DecisionTreeClassifier(max_depth=4)
            ),
            TWO,
        ),
    }  # fmt: skip


@pytest.mark.parametrize("name", sklearn_models())
def test_scikit_learn(compare: Compare, build: Build, name: str) -> None:
    make, target = sklearn_models()[name]
    estimator = make().fit(ROWS) if target is None else make().fit(ROWS, target)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # skl2onnx has some of its own
        classical = 3 if name == "isolation forest" else 1
        model = to_onnx(estimator, ROWS[:1], target_opset={"": 18, "ai.onnx.ml": classical})
    compare(model, RNG.normal(size=(200, 6)).astype(np.float32))
    build(model)


def from_boosting(estimator: Any) -> onnx.ModelProto:
    library = type(estimator).__module__.split(".")[0]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return getattr(onnxmltools, f"convert_{library}")(
            estimator, initial_types=[("rows", FloatTensorType([None, 6]))]
        )


@pytest.mark.parametrize("target", [TWO, THREE, SUMS], ids=["two", "three", "sums"])
@pytest.mark.parametrize("library", ["xgboost", "lightgbm"])
def test_boosting_with_missing_values(compare: Compare, build: Build, library: str, target: Array) -> None:
    module = pytest.importorskip(library)
    kind = "Regressor" if target is SUMS else "Classifier"
    name, options = ("XGB", {"max_depth": 4}) if library == "xgboost" else ("LGBM", {"verbose": -1})
    estimator = getattr(module, name + kind)(n_estimators=6, n_jobs=1, **options).fit(HOLES, target)
    model = from_boosting(estimator)
    compare(model, HOLES)
    build(model)


def test_categories_of_lightgbm(compare: Compare, build: Build) -> None:
    lightgbm = pytest.importorskip("lightgbm")
    rows = ROWS.copy()
    rows[:, 5] = RNG.integers(0, 8, len(rows))
    options = {"n_estimators": 6, "n_jobs": 1, "verbose": -1, "min_data_per_group": 5, "cat_smooth": 1.0}
    learner = lightgbm.LGBMRegressor(**options)
    learner.fit(rows, SUMS + 3 * (rows[:, 5] % 3), categorical_feature=[5])
    model = from_boosting(learner)
    modes = next(a.strings for n in model.graph.node for a in n.attribute if a.name == "nodes_modes")
    assert b"BRANCH_EQ" in modes
    compare(model, rows)
    build(model)


def test_the_source_is_left_as_it_was_and_the_batch_stays_open(classical: Model) -> None:
    model = classical("Scaler", onnx.TensorProto.FLOAT, version=1, offset=[0.0], scale=[2.0])
    before = model.SerializeToString()
    assert has_classical_operators(model)
    lowered = TensorOperatorsFromOnnx(lambda: model)()
    assert model.SerializeToString() == before
    assert not has_classical_operators(lowered)
    assert lowered.graph.input[0].type.tensor_type.shape.dim[0].dim_param == "batch"
    assert [(entry.domain, entry.version) for entry in lowered.opset_import] == [("", 18)]


def test_old_operator_sets_are_brought_up(compare: Compare, classical: Model) -> None:
    model = classical("Scaler", onnx.TensorProto.FLOAT, version=1, offset=[0.0], scale=[2.0])
    model.graph.node.append(onnx.helper.make_node("ReduceSum", ["output0"], ["sum"], axes=[1]))
    model.graph.output[0].CopyFrom(onnx.helper.make_tensor_value_info("sum", onnx.TensorProto.FLOAT, ["batch", 1]))
    model.opset_import[0].version = 9
    (given,) = compare(model, np.ones((2, 4), np.float32))
    assert given.tolist() == [[8], [8]]


def test_an_output_that_nobody_reads_costs_nothing(classical: Model) -> None:
    model = classical(
        "LinearClassifier", onnx.TensorProto.INT64, onnx.TensorProto.FLOAT, version=1, coefficients=[1.0] * 8,
        intercepts=[0.0, 1.0], classlabels_ints=[0, 1],
    )  # fmt: skip
    del model.graph.output[0]
    assert "ArgMax" not in {node.op_type for node in TensorOperatorsFromOnnx(model)().graph.node}


def test_operators_that_are_not_written_out(classical: Model) -> None:
    text = onnx.TensorProto.STRING
    options: dict[str, Any] = {"cats_strings": ["a"], "cats_int64s": [1]}
    model = classical("CategoryMapper", onnx.TensorProto.INT64, version=1, kind=text, **options)
    with pytest.raises(Unsupported) as raised:
        TensorOperatorsFromOnnx(model)()
    assert raised.value.place.node == "it (CategoryMapper)"
    assert raised.value.place.step == "tensor operators"
    assert "leave this step out" in raised.value.hint


def test_classical_operators_inside_of_loops_are_refused(classical: Model) -> None:
    model = classical("Scaler", onnx.TensorProto.FLOAT, version=1, offset=[0.0], scale=[1.0])
    scaler = model.graph.node.pop()
    scaler.output[0] = "inner"
    value = onnx.helper.make_tensor_value_info("inner", onnx.TensorProto.FLOAT, ["batch", 4])
    branch = onnx.helper.make_graph([scaler], "branch", [], [value])
    choice = onnx.helper.make_node("If", ["yes"], ["output0"], name="choice", then_branch=branch, else_branch=branch)
    model.graph.node.append(choice)
    model.graph.initializer.append(onnx.numpy_helper.from_array(np.array(True), "yes"))
    with pytest.raises(Unsupported, match=r"node choice \(If\): a graph inside of it holds Scaler"):
        TensorOperatorsFromOnnx(model)()
