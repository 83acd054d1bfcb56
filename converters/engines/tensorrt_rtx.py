"""TensorRT for RTX: engines for GeForce and RTX cards, built on any machine, with or without a GPU.

What an engine is built for decides more than where it runs (seen with 1.7.1.116):

- Without `compute_capabilities` and with `hardware_compatible: ampere_plus`, an engine runs on sm_80, 86, 89, 120, 121
  and later. It is about as large as one for a single GPU.
- sm_75 (Turing) has no FP32 matrix products: MatMul and Gemm need FP16. Depthwise convolutions whose shapes are all
  fixed carry tables of 12 bytes for each element of their input, for each such node: a detector of 4.7 MB at a fixed
  640 x 640 became 99.9 MB, and 12.4 MB with batches of 1 to 4. An engine for several GPUs of which sm_75 is one has
  these tables too. So give sm_75 an engine of its own, and a profile in which the batch or a size varies.
- The optimization level changed neither size nor build time. A timing cache is not used. The same model, options and
  version give the same bytes.
- Stripping weights runs code on a GPU while it builds, so it fails without one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import onnx

from converters.engines import nvidia
from converters.engines.base import BuildOptions, Plan, Progress
from converters.engines.gpus import gpus
from converters.engines.messages import Messages, logger_of
from converters.errors import ConversionError, ToolMissing, Unsupported

_TURING = 75


class RtxBuilder:
    """Builds engines with TensorRT for RTX."""

    @property
    def name(self) -> str:
        """As configurations say it."""
        return "tensorrt_rtx"

    @property
    def version(self) -> str:
        """Of the library; an engine runs on this very version only.

        Raises:
            ToolMissing: it is not installed.
        """
        return str(_library().__version__)

    def targets(self) -> tuple[int, ...]:
        """The compute capabilities that it builds for, on every machine.

        Raises:
            ToolMissing: it is not installed.
        """
        return tuple(sorted(int(each) for each in _library().ComputeCapability.__members__.values() if int(each) > 1))

    def build(self, model: onnx.ModelProto, options: BuildOptions, progress: Progress) -> Plan:
        """See `Builder.build`. An option that this library does not take is refused, and not left out silently."""
        trt = _library()
        _refuse(options)
        capabilities = self._capabilities(options)
        library = nvidia.Library(trt, self.name, str(trt.__version__), _configuring(trt, capabilities))
        try:
            return nvidia.build(library, model, options, progress, capabilities)
        except ConversionError:
            _forget(trt)
            raise

    def _capabilities(self, options: BuildOptions) -> tuple[int, ...]:
        known = self.targets()
        if options.hardware_compatible == "ampere_plus":
            return tuple(each for each in known if each > _TURING)
        wanted = tuple(dict.fromkeys(options.compute_capabilities)) or _of_this_machine(known)
        unknown = [each for each in wanted if each not in known]
        if unknown:
            raise Unsupported(
                f"{self.name} does not build for {', '.join(f'sm_{each}' for each in unknown)}",
                hint=f"choose among {', '.join(map(str, known))}; GPUs of data centres need the builder 'tensorrt'",
            )
        return tuple(sorted(wanted))


def _library() -> Any:
    try:
        import tensorrt_rtx  # noqa: PLC0415 - 240 MB, and not needed for anything else
    except (ImportError, OSError):
        raise ToolMissing(
            "TensorRT for RTX is not installed", hint="install it with 'pip install \"triton-gateway[convert]\"'"
        ) from None
    return tensorrt_rtx


def _forget(trt: Any) -> None:
    """Build nothing in particular.

    The first build after one that failed for sm_75 would be made for sm_75 in part, whatever its target: 142 times as
    large for a depthwise convolution (seen with 1.7.1.116). Only the next build is hit, so that is this one.
    """
    builder = trt.Builder(logger_of(trt, Messages()))
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    network.mark_output(network.add_identity(network.add_input("x", trt.float32, (1,))).get_output(0))
    builder.build_serialized_network(network, builder.create_builder_config())


def _of_this_machine(known: tuple[int, ...]) -> tuple[int, ...]:
    found = tuple(dict.fromkeys(gpu.compute_capability for gpu in gpus()))[:1]
    if not found:
        raise ToolMissing(
            "no target is named, and this machine has no GPU to take it from",
            hint=f"name targets (compute_capabilities, or --sm) among {', '.join(map(str, known))}",
        )
    return found


def _refuse(options: BuildOptions) -> None:
    if options.version_compatible:
        raise nvidia.unsupported_option(
            "tensorrt_rtx", "version_compatible", "an engine of it runs on the version that built it only",
            hint="leave it out, and build again with each version that you run",
        )  # fmt: skip
    if options.hardware_compatible == "same_compute_capability":
        raise nvidia.unsupported_option(
            "tensorrt_rtx", "hardware_compatible", "'same_compute_capability' changes nothing in its engines",
            hint="leave it out",
        )  # fmt: skip
    if options.hardware_compatible == "ampere_plus" and options.compute_capabilities:
        raise nvidia.unsupported_option(
            "tensorrt_rtx", "hardware_compatible", "'ampere_plus' and compute_capabilities exclude each other",
            hint="leave one of them out",
        )  # fmt: skip
    if options.strip_weights and not gpus():
        raise ToolMissing(
            "'strip_weights' needs a GPU while tensorrt_rtx builds, and this machine has none",
            hint="leave it out, or build on a machine with a GPU",
        )


def _configuring(
    trt: Any, capabilities: tuple[int, ...]
) -> Callable[[Any, BuildOptions, Messages], Callable[[Any], None] | None]:
    def configure(config: Any, options: BuildOptions, messages: Messages) -> None:
        if options.timing_cache is not None:
            messages.warning(f"tensorrt_rtx has no use for a timing cache; '{options.timing_cache}' was left alone")
        if options.hardware_compatible == "ampere_plus":
            return  # what the library builds for when it is told nothing
        if _TURING in capabilities and len(capabilities) > 1:
            messages.warning(
                "an engine for sm_75 together with others can be larger and slower on the others than one of their own"
            )
        config.num_compute_capabilities = len(capabilities)
        for index, capability in enumerate(capabilities):
            config.set_compute_capability(trt.ComputeCapability.__members__[f"SM{capability}"], index)

    return configure
