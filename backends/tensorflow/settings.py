"""What `config.pbtxt` says about TensorFlow, in the words of Triton's native backend.

Source of the keys: the README of Triton's `tensorflow_backend`.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from backends.common.config import ModelConfig, Parameters, parse_parameters
from backends.common.errors import LoadError
from backends.common.frameworks import import_framework
from backends.common.placement import Placement
from backends.common.threads import share_of_cores, usable_cores

_SERVING_TAG = "serve"


@dataclass(frozen=True, slots=True)
class GraphChoice:
    """Which graph and which signature of the SavedModel to serve; `signature` is `None` for the default one."""

    tag: str
    signature: str | None

    @classmethod
    def from_parameters(cls, parameters: Parameters) -> GraphChoice:
        """From the model's `parameters`."""
        return cls(parameters.text("TF_GRAPH_TAG") or _SERVING_TAG, parameters.text("TF_SIGNATURE_DEF"))

    @classmethod
    def from_raw(cls, raw: Mapping[str, Any]) -> GraphChoice:
        """From Triton's JSON form of `config.pbtxt`.

        Raises:
            LoadError: the platform is GraphDef.
        """
        refuse_graphdef(raw.get("platform", ""))
        return cls.from_parameters(parse_parameters(raw))

    def pick(self, signatures: Mapping[str, Any]) -> str:
        """The name of the signature to serve: the configured one, else `serving_default`, else the first.

        Raises:
            LoadError: there is no such signature.
        """
        names = sorted(name for name in signatures if not name.startswith("__"))
        if self.signature is not None:
            if self.signature in signatures:
                return self.signature
            raise LoadError(
                f"parameter 'TF_SIGNATURE_DEF': the SavedModel has no signature '{self.signature}', "
                f"but {', '.join(names) or 'none'}"
            )
        if "serving_default" in names:
            return "serving_default"
        if not names:
            raise LoadError("the SavedModel has no signature; save it with tf.saved_model.save(..., signatures=...)")
        return names[0]


def refuse_graphdef(platform: str) -> None:
    """Refuse a GraphDef model.

    Raises:
        LoadError: the platform is GraphDef.
    """
    if platform == "tensorflow_graphdef":
        raise LoadError("platform 'tensorflow_graphdef' is not supported: convert the model to a SavedModel")


def threads(config: ModelConfig, cores: int) -> tuple[int, int]:
    """Threads within an operation, and operations at once.

    Raises:
        LoadError: a value is not valid.
    """
    share = share_of_cores(config.instance_count, cores)
    intra = config.parameters.integer("TF_NUM_INTRA_THREADS", 0) or share
    return intra, config.parameters.integer("TF_NUM_INTER_THREADS", 0) or share


def import_tensorflow() -> Any:
    """TensorFlow, quiet below errors."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    tf = import_framework("tensorflow", extra="tensorflow", attribute="saved_model")
    tf.get_logger().setLevel("ERROR")  # else it advises against the loader that the native backend uses, too
    return tf


def session_config(tf: Any, config: ModelConfig, placement: Placement) -> Any:
    """The `ConfigProto` of the model's session: its threads and its device.

    Raises:
        LoadError: the GPU is missing, or a value is not valid.
    """
    intra, inter = threads(config, usable_cores())
    proto = tf.compat.v1.ConfigProto(
        intra_op_parallelism_threads=intra,
        inter_op_parallelism_threads=inter,
        use_per_session_threads=bool(config.parameters.boolean("TF_USE_PER_SESSION_THREADS")),
        allow_soft_placement=True,  # an operation without a GPU implementation runs on the CPU
    )
    gpus = tf.config.list_physical_devices("GPU") if placement.kind != "CPU" else []
    gpu = placement.gpu(len(gpus), missing="TensorFlow sees no such GPU, install a CUDA build of it and the driver")
    if gpu is None:
        proto.device_count["GPU"] = 0
    else:
        proto.gpu_options.visible_device_list = str(gpu)
        proto.gpu_options.allow_growth = True  # else the first model takes the whole GPU
    return proto
