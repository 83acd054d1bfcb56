"""`configs/engines.yaml`: which models become what, for which targets, and how good they must be."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

from converters.errors import ConfigError
from converters.precision.base import QUANTISED, Precision, Rest
from typed_yaml.read import Mistake, read

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
Size = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Error = Annotated[float, Field(ge=0)]
Sizes = tuple[Size, Size, Size]

DATA_KINDS = ("npz", "folder", "generator", "recorded", "synthetic")


class Section(BaseModel):
    """A part of the configuration: immutable, and closed against keys it does not know."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class DataSection(Section):
    """Input for calibration or verification: exactly one of npz, folder, generator, recorded and synthetic."""

    npz: Path | None = Field(None, description="A `.npz` file with one array an input, samples first.")
    folder: Path | None = Field(None, description="A folder of `.npz` or `.npy` files.")
    generator: str | None = Field(
        None, description="`file.py:function` or `module:function` that yields mappings of input arrays."
    )
    recorded: Path | None = Field(None, description="A folder of requests that the gateway recorded.")
    synthetic: Size | None = Field(None, description="So many batches of random numbers: for a try, not for a gate.")
    batch_size: Size | None = Field(None, description="Samples a batch, where the data is not in batches already.")
    batches: Size | None = Field(None, description="Use at most so many batches.")
    model: str = Field("", description="For `recorded`: only requests for this model.")

    @model_validator(mode="after")
    def _one_of(self) -> DataSection:
        given = [kind for kind in DATA_KINDS if getattr(self, kind) is not None]
        if len(given) != 1:
            raise ValueError(f"give exactly one of {', '.join(DATA_KINDS)}; here are {', '.join(given) or 'none'}")
        return self

    @property
    def kind(self) -> str:
        """Which of them it is."""
        return next(kind for kind in DATA_KINDS if getattr(self, kind) is not None)


class ThresholdsSection(Section):
    """Limits for an output; what is left out is not looked at."""

    max_abs: Error | None = Field(None, description="Largest absolute error of any element.")
    mean_abs: Error | None = Field(None, description="Largest mean absolute error.")
    max_rel: Error | None = Field(None, description="Largest relative error of any element.")
    mean_rel: Error | None = Field(None, description="Largest mean relative error.")
    cosine: Share | None = Field(None, description="Lowest cosine of any sample with the original's.")
    top1: Share | None = Field(None, description="Lowest share of samples with the same best class.")
    top5: Share | None = Field(None, description="Lowest share of samples with the same five best classes.")


class MetricSection(Section):
    """A measure of your own."""

    function: str = Field(description="`file.py:function` or `module:function`, given (original, result, inputs).")
    at_least: float | None = Field(None, description="Fails below this.")
    at_most: float | None = Field(None, description="Fails above this.")


class GateSection(ThresholdsSection):
    """What a result must reach before it is published."""

    outputs: dict[str, ThresholdsSection] = Field(
        default_factory=dict, description="Limits for single outputs, by name, instead of the general ones."
    )
    metrics: tuple[MetricSection, ...] = Field((), description="Measures of your own.")


class CalibrationSection(Section):
    """How the ranges of activations are found for INT8 and FP8."""

    method: Literal["minmax", "entropy", "percentile"] = Field("minmax", description="How a range is chosen.")
    percentile: float = Field(99.99, gt=50, le=100, description="For `percentile`: the share kept, in percent.")
    per_channel: bool = Field(True, description="One scale for each output channel of a weight.")
    operators: tuple[str, ...] = Field((), description="Quantise only these operators; default: those that gain.")


class SearchSection(Section):
    """What to do when a gate fails: look for the nodes that lose accuracy, and keep them in FP32."""

    most: Size = Field(description="Keep at most so many nodes in FP32; the gate fails if that is not enough.")
    attempts: Size = Field(24, description="Convert and run at most so many times.")


class VariantSection(Section):
    """One precision of a model."""

    precision: Precision = Field(description="fp32, fp16, bf16, int8 or fp8.")
    keep: tuple[str, ...] = Field((), description="Nodes that stay in FP32: names, or patterns with `*`.")
    unquantised: tuple[str, ...] = Field(
        (), description="For int8 and fp8: nodes that are not quantised, and have the precision `rest`; as in `keep`."
    )
    rest: Rest = Field(
        "fp32", description="For int8 and fp8: the precision of what is not quantised; sm_75 needs fp16."
    )
    keep_io: bool = Field(True, description="Inputs and outputs keep their types, so that clients need not change.")
    quantiser: Literal["onnxruntime", "modelopt"] = Field(
        "onnxruntime", description="What converts; modelopt leaves in FP32 what it does not quantise."
    )
    calibration: CalibrationSection = Field(CalibrationSection(), description="For INT8 and FP8.")
    search: SearchSection | None = Field(None, description="Look for nodes to keep in FP32 when the gate fails.")
    gate: GateSection | None = Field(None, description="Default: limits that fit the precision.")
    targets: tuple[str, ...] | None = Field(None, description="Instead of the model's targets.")


class BatchSection(Section):
    """Batch sizes of the optimization profile."""

    min: Size = Field(1, description="Smallest.")
    opt: Size = Field(8, description="The one that engines are tuned for.")
    max: Size = Field(32, description="Largest; Triton's max_batch_size.")

    @model_validator(mode="after")
    def _ascending(self) -> BatchSection:
        if not self.min <= self.opt <= self.max:
            raise ValueError(f"min, opt and max must ascend; here are {self.min}, {self.opt} and {self.max}")
        return self


class ExportSection(Section):
    """How the model becomes ONNX."""

    opset: Annotated[int, Field(ge=13)] | None = Field(None, description="Default: the newest that all steps read.")
    signature: str = Field("serving_default", description="Of a SavedModel.")
    dynamic: dict[str, dict[int, str]] = Field(
        default_factory=dict, description="Dynamic dimensions beside the batch, for PyTorch: input, axis, name."
    )
    fixed: dict[str, dict[int, Size]] = Field(
        default_factory=dict, description="Dynamic dimensions that are to become constants: input, axis, size."
    )
    outputs: tuple[str, ...] = Field((), description="Names for the outputs, where the framework has none.")


class ModelDataSection(Section):
    """Input for the model."""

    calibration: DataSection | None = Field(None, description="Needed for INT8 and FP8.")
    verification: DataSection | None = Field(None, description="Needed for every gate.")


class ModelSection(Section):
    """One model, and what becomes of it."""

    source: str = Field(description="File, folder, folder of a model repository, or `file.py:function`.")
    depends: tuple[Path, ...] = Field((), description="Further files whose change makes it another model.")
    export: ExportSection = Field(ExportSection(), description="How the model becomes ONNX.")
    data: ModelDataSection = Field(ModelDataSection(), description="Input for the model.")
    batch: BatchSection = Field(BatchSection(), description="Batch sizes of the optimization profile.")
    shapes: dict[str, dict[int, Sizes]] = Field(
        default_factory=dict, description="[min, opt, max] of dynamic dimensions beside the batch: input, axis."
    )
    gate: GateSection | None = Field(None, description="For the ONNX model against the original.")
    variants: dict[Name, VariantSection] = Field(min_length=1, description="By name: what to make of it.")
    targets: tuple[str, ...] = Field((), description="What to build each variant for; names from `targets`.")


class TargetSection(Section):
    """Where results run."""

    builder: Literal["tensorrt", "tensorrt_rtx", "onnxruntime"] = Field(
        description="tensorrt (needs a GPU), tensorrt_rtx (builds anywhere), or onnxruntime for ONNX on CPUs."
    )
    compute_capabilities: tuple[Annotated[int, Field(ge=50, le=199)], ...] = Field(
        (), description="GPUs as 75, 86, 89, 120 ...; default: the GPU of this machine."
    )
    plans: Literal["one", "each"] = Field("one", description="One plan for all GPUs, or each its own.")
    workspace_mib: Size | None = Field(None, description="Most device memory that a layer may use.")
    optimization_level: Annotated[int, Field(ge=0, le=5)] | None = Field(None, description="0 to 5.")
    version_compatible: bool = Field(False, description="Plans run on later TensorRT versions too.")
    hardware_compatible: Literal["none", "ampere_plus", "same_compute_capability"] = Field(
        "none", description="Plans run on other GPUs too."
    )
    strip_weights: bool = Field(False, description="Leave weights out of plans; they are refitted from the ONNX.")
    tf32: bool = Field(True, description="FP32 layers may use TF32.")
    name: str = Field("{model}_{variant}_{target}", description="Of the model in the repository.")

    @model_validator(mode="after")
    def _placeholders(self) -> TargetSection:
        try:
            self.name.format(model="m", variant="v", target="t")
        except (KeyError, IndexError, ValueError):
            raise ValueError("name may hold {model}, {variant} and {target}, and no other braces") from None
        return self


class EnginesConfig(Section):
    """The whole file. Paths are relative to it."""

    output: Path = Field(Path("../build/engines"), description="Reports, logs, and the step cache.")
    repository: Path = Field(
        Path("../build/engines/repository"), description="The model repository that results are published into."
    )
    cache: str | None = Field(
        None, description="A folder or object store (s3://, gs://, az://) that several machines share."
    )
    modelopt_python: Path | None = Field(
        None, description="Interpreter of an environment with `nvidia-modelopt[onnx]`, for `quantiser: modelopt`."
    )
    jobs: Size | None = Field(None, description="Models at a time; default: as cores and memory allow.")
    memory_mib: Size | None = Field(None, description="Memory to use; default: what is free at the start.")
    timings: bool = Field(True, description="Measure latency of variants that can run here, for the report.")
    targets: dict[Name, TargetSection] = Field(default_factory=dict, description="Where results run, by name.")
    models: dict[Name, ModelSection] = Field(min_length=1, description="By name.")

    @model_validator(mode="after")
    def _consistent(self) -> EnginesConfig:
        for name, model in self.models.items():
            for variant_name, variant in model.variants.items():
                for target in targets_of(model, variant):
                    if target not in self.targets:
                        known = ", ".join(self.targets) or "none"
                        raise ValueError(f"models.{name}: there is no target {target!r}; known: {known}")
                if variant.quantiser == "modelopt" and variant.rest != "fp32":
                    raise ValueError(
                        f"models.{name}.variants.{variant_name}: modelopt leaves the rest in FP32; leave `rest` out"
                    )
                if variant.quantiser == "modelopt" and self.modelopt_python is None:
                    raise ValueError(
                        f"models.{name}.variants.{variant_name}: quantiser modelopt needs modelopt_python, the "
                        "interpreter of an environment with nvidia-modelopt[onnx]"
                    )
                if variant.precision in QUANTISED and model.data.calibration is None:
                    raise ValueError(
                        f"models.{name}.variants.{variant_name}: {variant.precision} needs data.calibration"
                    )
        names = [self.published_name(*each) for each in self._results()]
        twice = sorted({each for each in names if names.count(each) > 1})
        if twice:
            raise ValueError(f"two results would be published as {twice[0]!r}; set the targets' `name` apart")
        return self

    def _results(self) -> list[tuple[str, str, str]]:
        return [
            (name, variant_name, target)
            for name, model in self.models.items()
            for variant_name, variant in model.variants.items()
            for target in targets_of(model, variant)
        ]

    def published_name(self, model: str, variant: str, target: str) -> str:
        """The name in the repository of one variant of a model for one target."""
        return self.targets[target].name.format(model=model, variant=variant, target=target)


def targets_of(model: ModelSection, variant: VariantSection) -> tuple[str, ...]:
    """The targets of one variant."""
    return model.targets if variant.targets is None else variant.targets


def load(path: Path, overrides: tuple[str, ...] = ()) -> EnginesConfig:
    """Read the file; paths stay as written, relative to the file's folder.

    Raises:
        ConfigError: it cannot be read or says something unknown; every mistake with its line.
    """
    try:
        return read(EnginesConfig, path, overrides)
    except Mistake as mistake:
        raise ConfigError(str(mistake), hint="`triton-convert schema` prints all that may stand there") from None
