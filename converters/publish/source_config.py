"""What the configuration of the model in the repository says that its conversions keep: sizes, labels, scheduling."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from converters.errors import BadSource, ToolMissing

CONFIG = "config.pbtxt"
WARMUP = "warmup"


@dataclass(frozen=True, slots=True)
class SourceTensor:
    """An input or output as it is configured.

    Attributes:
        dims: without the batch where the model batches; -1 is any size.
        labels: the name of its label file; empty for none.
    """

    dims: tuple[int, ...]
    labels: str = ""


@dataclass(frozen=True, slots=True)
class SourceConfig:
    """A model's configuration, as far as conversions keep it.

    Attributes:
        max_batch_size: 0 where the model does not batch; None where nothing is said.
        tensors: inputs and outputs by name.
        scheduling: sections as Triton's text: `sequence_batching`, `response_cache`; by the field's name.
        dynamic_batching: the fields of that section as text, but for the preferred sizes.
        warmups: each warm-up request as text, with its batch size and the name and datatype of its inputs.
        files: label files and warm-up data that are there, by their path in the model's folder.
    """

    max_batch_size: int | None = None
    tensors: Mapping[str, SourceTensor] = field(default_factory=dict)
    scheduling: Mapping[str, str] = field(default_factory=dict)
    dynamic_batching: str = ""
    warmups: tuple[Warmup, ...] = ()
    files: Mapping[str, Path] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Warmup:
    """A warm-up request.

    Attributes:
        text: its fields as Triton's text.
        batch_size: of the request.
        inputs: the datatype of each input, such as "FP32", by name.
    """

    text: str
    batch_size: int
    inputs: Mapping[str, str]


def read_source_config(folder: Path) -> SourceConfig:
    """The configuration in a model's folder of the repository; an empty one if it has none.

    Raises:
        BadSource: Triton could not read it either; says the line.
        ToolMissing: the protocol's descriptors are not installed.
    """
    path = folder / CONFIG
    if not path.is_file():
        return SourceConfig()
    text = path.read_text("utf-8", "replace")
    config = parse(text, str(path))
    files = {name: folder / name for name in sorted(_named_files(config)) if (folder / name).is_file()}
    return SourceConfig(
        max_batch_size=config.max_batch_size if re.search(r"^\s*max_batch_size\s*:", text, re.MULTILINE) else None,
        tensors={
            each.name: SourceTensor(tuple(each.dims), getattr(each, "label_filename", ""))
            for each in (*config.input, *config.output)
        },
        scheduling={
            name: _text(getattr(config, name))
            for name in ("sequence_batching", "response_cache")
            if config.HasField(name)
        },
        dynamic_batching=_dynamic_batching(config),
        warmups=tuple(_warmup(each) for each in config.model_warmup),
        files=files,
    )


def parse(text: str, where: str) -> Any:
    """The `ModelConfig` message that a text is.

    Raises:
        BadSource: it is none.
        ToolMissing: the protocol's descriptors are not installed.
    """
    try:
        from google.protobuf import text_format  # noqa: PLC0415 - only models of a repository have configurations
        from tritonclient.grpc.model_config_pb2 import ModelConfig  # noqa: PLC0415 - it brings all of grpc
    except ImportError as error:
        raise ToolMissing(
            f"{error.name or 'tritonclient'} is not installed, which reads {where}",
            hint="pip install 'tritonclient[grpc]'",
        ) from None
    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as error:
        raise BadSource(
            f"{where} is no configuration of Triton's: {error}", hint="correct that line; Triton would refuse it too"
        ) from None


def _named_files(config: Any) -> set[str]:
    labels = {each.label_filename for each in config.output if each.label_filename}
    data = {
        f"{WARMUP}/{each.input_data_file}"
        for request in config.model_warmup
        for each in request.inputs.values()
        if each.input_data_file
    }
    return labels | data


def _dynamic_batching(config: Any) -> str:
    if not config.HasField("dynamic_batching"):
        return ""
    kept = type(config.dynamic_batching)()
    kept.CopyFrom(config.dynamic_batching)
    del kept.preferred_batch_size[:]  # they were those of another framework
    return _text(kept)


def _warmup(request: Any) -> Warmup:
    kinds = {name: _datatype(each) for name, each in request.inputs.items()}
    return Warmup(_text(request), max(1, request.batch_size), kinds)


def _datatype(each: Any) -> str:
    name = type(each).DESCRIPTOR.fields_by_name["data_type"].enum_type.values_by_number[each.data_type].name
    return str(name).removeprefix("TYPE_").replace("STRING", "BYTES")


def _text(message: Any) -> str:
    from google.protobuf import text_format  # noqa: PLC0415 - as above

    return str(text_format.MessageToString(message))
