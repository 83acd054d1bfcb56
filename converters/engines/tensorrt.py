"""TensorRT for data-centre GPUs, whose engines Triton's own backend runs. It builds on the GPU that is to run them.

Written against the documented API of TensorRT 10 and 11, and never run: its Python package cannot be had from PyPI
alone. What it shares with TensorRT for RTX is tested by that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import onnx

from converters.engines import nvidia, timing_cache
from converters.engines.base import BuildOptions, Plan, Progress
from converters.engines.gpus import Gpu, gpus
from converters.engines.messages import Messages
from converters.errors import ToolMissing, Unsupported

_OLDEST = 10
_AMPERE = 80


class TensorRTBuilder:
    """Builds engines with TensorRT."""

    @property
    def name(self) -> str:
        """As configurations say it."""
        return "tensorrt"

    @property
    def version(self) -> str:
        """Of the library; without `version_compatible` an engine runs on this very version only.

        Raises:
            ToolMissing: it is not installed, or is older than 10.
        """
        return str(_library().__version__)

    def targets(self) -> tuple[int, ...]:
        """The compute capability of this machine's first GPU, on which it builds.

        Raises:
            ToolMissing: the library or the GPU is not there.
        """
        _library()
        return (_gpu().compute_capability,)

    def build(self, model: onnx.ModelProto, options: BuildOptions, progress: Progress) -> Plan:
        """See `Builder.build`."""
        trt = _library()
        here = _gpu().compute_capability
        others = [each for each in options.compute_capabilities if each != here]
        if others:
            raise Unsupported(
                f"tensorrt builds for the GPU of this machine (sm_{here}), and not for sm_{others[0]}",
                hint=f"run this target on a machine with sm_{others[0]}, or take the builder 'tensorrt_rtx'",
            )
        if options.hardware_compatible == "ampere_plus" and here < _AMPERE:
            raise nvidia.unsupported_option(
                "tensorrt", "hardware_compatible", f"'ampere_plus' needs sm_80 or later, and this GPU is sm_{here}",
                hint="leave it out, or build on a later GPU",
            )  # fmt: skip
        library = nvidia.Library(trt, self.name, str(trt.__version__), partial(configure, trt))
        return nvidia.build(library, model, options, progress, (here,))


def configure(trt: Any, config: Any, options: BuildOptions, messages: Messages) -> Callable[[Any], None] | None:
    """Set what only this library heeds: compatibility modes, and the timing cache, which is written after the build."""
    if options.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if options.hardware_compatible != "none":
        level = getattr(trt.HardwareCompatibilityLevel, options.hardware_compatible.upper(), None)
        if level is None:
            raise nvidia.unsupported_option(
                f"tensorrt {trt.__version__}", "hardware_compatible", f"it has no '{options.hardware_compatible}'",
                hint="take 'ampere_plus' or 'none', or a later TensorRT",
            )  # fmt: skip
        config.hardware_compatibility_level = level
    return None if options.timing_cache is None else _with_timing_cache(config, options, messages)


def _with_timing_cache(config: Any, options: BuildOptions, messages: Messages) -> Callable[[Any], None]:
    """Use the cache, and give what writes it.

    A cache that cannot be used or kept is a warning: the engine is as good without it, and took long to build.
    """
    path = options.timing_cache
    assert path is not None  # noqa: S101 - for the type checker; the caller looked
    try:
        known = timing_cache.read(path)
    except OSError as error:
        messages.warning(f"the timing cache '{path}' could not be read: {error.strerror or error}")
        known = b""
    cache = config.create_timing_cache(known)
    if cache is None or not config.set_timing_cache(cache, False):
        messages.warning(f"the timing cache '{path}' is damaged or from another GPU or version; it is started anew")
        config.set_timing_cache(config.create_timing_cache(b""), False)

    def write(built: Any) -> None:
        try:
            timing_cache.write(path, bytes(built.get_timing_cache().serialize()))
        except OSError as error:
            messages.warning(f"the timing cache '{path}' could not be written: {error.strerror or error}")

    return write


def _library() -> Any:
    try:
        import tensorrt  # noqa: PLC0415 - large, and only there where NVIDIA's index was reached
    except (ImportError, OSError):
        raise ToolMissing(
            "TensorRT is not installed",
            hint="run this in NVIDIA's TensorRT or Triton container, or install it with 'pip install tensorrt' "
            "where NVIDIA's package index can be reached; 'tensorrt_rtx' builds engines for RTX cards anywhere",
        ) from None
    if int(tensorrt.__version__.split(".")[0]) < _OLDEST:
        raise ToolMissing(
            f"TensorRT {tensorrt.__version__} is too old: it has no strongly typed networks that are complete",
            hint=f"install TensorRT {_OLDEST} or later",
        )
    return tensorrt


def _gpu() -> Gpu:
    found = gpus()
    if not found:
        raise ToolMissing(
            "TensorRT builds on the GPU that is to run the engine, and this machine has none that can be used",
            hint="run this where 'nvidia-smi' lists a GPU, or take the builder 'tensorrt_rtx', which needs none",
        )
    return found[0]
