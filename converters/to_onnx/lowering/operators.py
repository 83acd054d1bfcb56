"""The list of all operators that are written out, and how."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

from converters.graph.opset import CLASSICAL
from converters.to_onnx.lowering import features, labels, linear, products, scaling, svm, trees
from converters.to_onnx.lowering.emitter import Emitter

Lowering: TypeAlias = Callable[[Emitter], bool | None]
"""Emits what stands for a node, and gives the same outputs; False if the node shall stay as it is."""

LOWERINGS: Mapping[tuple[str, str], Lowering] = {
    (CLASSICAL, "ArrayFeatureExtractor"): features.lower_extractor,
    (CLASSICAL, "Binarizer"): scaling.lower_binarizer,
    (CLASSICAL, "FeatureVectorizer"): features.lower_vectorizer,
    (CLASSICAL, "Imputer"): scaling.lower_imputer,
    (CLASSICAL, "LabelEncoder"): features.lower_label_encoder,
    (CLASSICAL, "LinearClassifier"): linear.lower_classifier,
    (CLASSICAL, "LinearRegressor"): linear.lower_regressor,
    (CLASSICAL, "Normalizer"): scaling.lower_normalizer,
    (CLASSICAL, "OneHotEncoder"): features.lower_encoder,
    (CLASSICAL, "SVMClassifier"): svm.lower_classifier,
    (CLASSICAL, "SVMRegressor"): svm.lower_regressor,
    (CLASSICAL, "Scaler"): scaling.lower_scaler,
    (CLASSICAL, "TreeEnsemble"): trees.lower_ensemble,
    (CLASSICAL, "TreeEnsembleClassifier"): trees.lower_classifier,
    (CLASSICAL, "TreeEnsembleRegressor"): trees.lower_regressor,
    (CLASSICAL, "ZipMap"): features.lower_zipmap,
    ("", "Cast"): labels.lower_carrier,
    ("", "Flatten"): labels.lower_carrier,
    ("", "Gemm"): products.lower_gemm,
    ("", "Identity"): labels.lower_carrier,
    ("", "MatMul"): products.lower_matmul,
    ("", "Reshape"): labels.lower_carrier,
    ("", "Squeeze"): labels.lower_carrier,
    ("", "Unsqueeze"): labels.lower_carrier,
}
