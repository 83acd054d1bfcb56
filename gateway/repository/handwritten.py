"""What people wrote into a `config.pbtxt`: told apart from what was generated, and held against the model."""

from __future__ import annotations

import difflib
import hashlib
import re
from typing import Any

from gateway.core.errors import ModelRefused
from gateway.repository.config_text import top_level_fields
from gateway.repository.datatypes import in_config
from gateway.repository.description import Description, Tensor
from gateway.repository.pbtxt import default_filename
from gateway.repository.shapes import fits, show

_MARKER = re.compile(
    r"^# Added by triton-gateway \(sha256 of what follows: ([0-9a-f]{64})\); write above this line .*\n", re.MULTILINE
)


def split(text: str) -> tuple[str, str]:
    """What was written by hand, and what was generated.

    The generated part begins at its marker line, unless somebody changed it since: then all is hand-written.
    """
    markers = list(_MARKER.finditer(text))
    if markers and _sha256(text[markers[-1].end() :]) == markers[-1][1]:
        return text[: markers[-1].start()], text[markers[-1].end() :]
    return text, ""


def join(handwritten: str, generated: str) -> str:
    """Both parts with the marker line between; `handwritten` stays as it is."""
    if not generated:
        return handwritten
    gap = "" if not handwritten or handwritten.endswith("\n") else "\n"
    marker = (
        f"# Added by triton-gateway (sha256 of what follows: {_sha256(generated)}); "
        "write above this line what shall differ\n"
    )
    return f"{handwritten}{gap}{marker}{generated}"


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def parse(text: str) -> Any:
    """The `ModelConfig` message that a text is.

    Raises:
        ModelRefused: it is none; the message says where it stops making sense.
    """
    from google.protobuf import text_format  # noqa: PLC0415 - the gateway's own process never reads configurations
    from tritonclient.grpc.model_config_pb2 import ModelConfig  # noqa: PLC0415 - it brings all of grpc

    try:
        return text_format.Parse(text, ModelConfig())
    except text_format.ParseError as error:
        line, column = error.GetLine() or 1, error.GetColumn() or 1
        problem = str(error).removeprefix(f"{line}:{column} : ")
        unknown = re.search(r'has no (?:field|value) named "?(\w+)', problem)
        nearest = difflib.get_close_matches(unknown[1], _words(ModelConfig.DESCRIPTOR), n=1) if unknown else []
        hint = f" Did you mean {nearest[0]!r}?" if nearest else ""
        raise ModelRefused(f"config.pbtxt, line {line}, column {column}: {problem}{hint}") from None


def _words(descriptor: Any) -> list[str]:
    """The fields of a message and of those directly inside it, and their values: what people misspell."""
    inner = [field.message_type for field in descriptor.fields if field.message_type]
    fields = [field for message in (descriptor, *inner) for field in message.fields]
    values = [value.name for field in fields if field.enum_type for value in field.enum_type.values]
    return [field.name for field in fields] + values


def check(name: str, text: str, config: Any, description: Description) -> None:
    """Hold what was written by hand against the model.

    Args:
        name: of the model.
        text: the hand-written part, for what is given as a default value.
        config: the same as a message.
        description: the model.

    Raises:
        ModelRefused: the two contradict each other; the message gives both values.
    """
    given = top_level_fields(text)
    expected = {
        "name": name,
        "backend": description.backend,
        "default_model_filename": description.filename or default_filename(description.backend),
    }
    for field, value in expected.items():
        written = getattr(config, field)
        if field in given and value and written != value:
            raise ModelRefused(
                f"config.pbtxt says {field} {written!r}, but it is {value!r}; delete the line, or write {value!r}"
            )
    batched = is_batched(text, config, description)
    for section, known in (("input", description.inputs), ("output", description.outputs)):
        for tensor in getattr(config, section):
            _check_tensor(section, tensor, known, batched=batched)
    if config.input:
        named = {tensor.name for tensor in config.input}
        for tensor in description.inputs:
            if tensor.name not in named and not tensor.optional:
                raise ModelRefused(f"input {tensor.name!r} of the model is missing in config.pbtxt; add it")


def is_batched(text: str, config: Any, description: Description) -> bool:
    """Whether dims that were written by hand have the batch in front left out.

    `max_batch_size` says so. Without it they are taken as they fit, where the model can batch.

    Raises:
        ModelRefused: batches are asked for which the model cannot do.
    """
    written = [*config.input, *config.output]
    if "max_batch_size" not in top_level_fields(text):
        if not description.batches:
            return False
        shapes = {tensor.name: tensor.shape for tensor in (*description.inputs, *description.outputs)}
        whole = [each for each in written if each.dims and fits(each.dims, shapes.get(each.name, ()))]
        apart = [each for each in written if each.dims and fits(_dims(each), shapes.get(each.name, ())[1:])]
        return len(apart) >= len(whole)
    if config.max_batch_size > 0:
        for side, tensors in (("input", description.inputs), ("output", description.outputs)):
            fixed = next((tensor for tensor in tensors if tensor.shape[:1] != (-1,)), None)
            if fixed is not None:
                raise ModelRefused(
                    f"config.pbtxt says max_batch_size {config.max_batch_size}, but {side} {fixed.name!r} of the "
                    f"model has the shape {show(fixed.shape)} without a batch dimension of any size in front; write "
                    "max_batch_size: 0, or export the model with one"
                )
    return bool(config.max_batch_size > 0)


def _dims(tensor: Any) -> list[int]:
    """What the model sees."""
    return list(tensor.reshape.shape if tensor.HasField("reshape") else tensor.dims)


def _check_tensor(section: str, written: Any, known: tuple[Tensor, ...], *, batched: bool) -> None:
    from tritonclient.grpc.model_config_pb2 import DataType  # noqa: PLC0415 - it brings all of grpc

    tensor = next((each for each in known if each.name == written.name), None)
    if tensor is None:
        names = [each.name for each in known]
        nearest = difflib.get_close_matches(written.name, names, n=1)
        hint = f"did you mean {nearest[0]!r}?" if nearest else f"it has {', '.join(map(repr, names)) or 'none'}"
        raise ModelRefused(f"{section} {written.name!r} of config.pbtxt is not in the model; {hint}")
    where, datatype = f"{section} {tensor.name!r}", DataType.Name(written.data_type)
    if written.data_type and datatype != in_config(tensor.datatype):
        raise ModelRefused(
            f"{where}: data_type is {datatype} in config.pbtxt, but {in_config(tensor.datatype)} in the model; "
            "write the model's"
        )
    if section == "input" and written.optional and not tensor.optional:
        raise ModelRefused(f"{where} is optional in config.pbtxt, but the model has no default for it; delete that")
    shape = tensor.shape[1:] if batched else tensor.shape
    if (written.dims or written.HasField("reshape")) and not fits(_dims(written), shape):
        behind = " behind the batch" if batched else ""
        raise ModelRefused(
            f"{where}: dims are {show(_dims(written))} in config.pbtxt, but {show(shape)}{behind} in the model; "
            "write the model's"
        )
