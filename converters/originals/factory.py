"""Models that a Python function makes: `path/to/file.py:function` or `module:function`.

The function takes no arguments and returns a PyTorch module, an estimator of scikit-learn, a model or booster of
XGBoost or LightGBM, or an `onnx.ModelProto`. Files that it reads (weights, other modules) are declared, so that a
change of them is a change of the model: by an attribute `depends` of the function, paths relative to its file, or by
the caller.
"""

from __future__ import annotations

import hashlib
import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import onnx

from converters.errors import BadSource
from converters.graph.files import digest_of_path
from converters.originals.base import ExportOptions
from converters.originals.lightgbm import LightGBMRunner
from converters.originals.scikit_learn import ScikitLearnRunner
from converters.originals.torch_runner import TorchRunner
from converters.originals.xgboost import XGBoostRunner
from converters.to_onnx.lightgbm import OnnxFromLightGBM
from converters.to_onnx.module import OnnxFromModule, arguments
from converters.to_onnx.scikit_learn import OnnxFromScikitLearn
from converters.to_onnx.simplify import SimplifiedFromOnnx
from converters.to_onnx.xgboost import OnnxFromXGBoost
from converters.user_code import user_function, users_own
from converters.verify.base import Runner


@dataclass(frozen=True, slots=True)
class FactoryOriginal:
    """A function that makes the model.

    Attributes:
        path: the Python file that it stands in.
        function: its name there.
        depends: further files that make up the model.
        module: under which it is imported; empty for a file outside of any package.
    """

    path: Path
    function: str
    depends: tuple[Path, ...] = ()
    module: str = ""
    kind: str = "factory"

    @property
    def name(self) -> str:
        """The function, after its file's or module's name."""
        return f"{self.module or self.path.stem}:{self.function}"

    @property
    def version(self) -> None:
        """It has none."""
        return None

    @property
    def reference(self) -> str:
        """As `user_function` takes it."""
        return f"{self.module or self.path}:{self.function}"

    @property
    def digest(self) -> str:
        """Over the file, the function's name, and all that it depends on."""
        declared = [self.path.parent / each for each in getattr(self._function(), "depends", ())]
        files = [self.path, *declared, *self.depends]
        missing = [file for file in files if not file.exists()]
        if missing:
            raise BadSource(
                f"'{missing[0]}', which {self.function} depends on, is not there", hint="correct its `depends`"
            ).at(model=self.name)
        parts = [digest_of_path(file) for file in files]
        return hashlib.sha256("\n".join([self.function, *parts]).encode()).hexdigest()

    def to_onnx(self, options: ExportOptions) -> onnx.ModelProto:
        """See the conversion of what the function returns: `OnnxFromModule`, `OnnxFromScikitLearn`, ..."""
        model = self.make()
        return SimplifiedFromOnnx(_conversion(model, options))()

    def runner(self, options: ExportOptions) -> Runner:
        """The model, in its own framework."""
        model = self.make()
        match kind_of(model):
            case "torch":
                names = arguments(model, options.sample)
                fed = [name for name in names if options.sample is None or name in options.sample]
                return TorchRunner(model.eval(), fed, options.outputs)
            case "xgboost":
                return XGBoostRunner(model)
            case "lightgbm":
                return LightGBMRunner(model)
            case "onnx":
                from converters.verify.onnx_runner import OnnxRunner  # noqa: PLC0415 - imports ONNX Runtime

                return OnnxRunner(model)
            case _:
                return ScikitLearnRunner(model)

    def make(self) -> Any:
        """Call the function.

        Raises:
            ConfigError: it is not there.
            BadSource: it returns what cannot be converted.
            ConversionError: it fails; says where.
        """
        function = self._function()
        with users_own(self.reference):
            model = function()
        if not kind_of(model):
            raise BadSource(
                f"{self.function}() returns a {type(model).__name__}",
                hint="return an nn.Module, a model of scikit-learn, XGBoost or LightGBM, or an onnx.ModelProto",
            ).at(model=self.name)
        return model

    def _function(self) -> Callable[..., Any]:
        return user_function(self.reference, Path())


def factory(reference: str, depends: tuple[Path, ...] = ()) -> FactoryOriginal:
    """The original that `path/to/file.py:function` or `module:function` names.

    Raises:
        BadSource: there is no such file or module.
    """
    where, _, function = reference.rpartition(":")
    if where.endswith(".py"):
        path = Path(where)
        if not path.is_file():
            raise BadSource(f"there is no file '{path}'", hint="check the path").at(model=reference)
        return FactoryOriginal(path, function, depends)
    try:
        spec = importlib.util.find_spec(where)
    except (ImportError, ValueError):
        spec = None
    if spec is None or not spec.origin:
        raise BadSource(
            f"there is no module '{where}'", hint="check its name, or give the path of its file, ending in .py"
        ).at(model=reference)
    return FactoryOriginal(Path(spec.origin), function, depends, where)


def kind_of(model: Any) -> str:
    """Which framework a model in memory is of; empty if of none that is known. Imports no framework."""
    if isinstance(model, onnx.ModelProto):
        return "onnx"
    ancestors = {f"{each.__module__}.{each.__name__}" for each in type(model).__mro__}
    packages = {name.partition(".")[0] for name in ancestors}
    if "torch.nn.modules.module.Module" in ancestors:
        return "torch"
    if packages & {"xgboost", "lightgbm"}:
        return "xgboost" if "xgboost" in packages else "lightgbm"
    return "scikit-learn" if "sklearn.base.BaseEstimator" in ancestors else ""


def _conversion(model: Any, options: ExportOptions) -> Callable[[], onnx.ModelProto]:
    match kind_of(model):
        case "torch":
            return OnnxFromModule(model, options.sample, options.dynamic, options.outputs, options.opset)
        case "xgboost":
            return OnnxFromXGBoost(model, options.opset)
        case "lightgbm":
            return OnnxFromLightGBM(model, options.opset)
        case "onnx":
            return lambda: model
        case _:
            return OnnxFromScikitLearn(model, options.opset)
