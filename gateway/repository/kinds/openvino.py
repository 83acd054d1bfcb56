"""OpenVINO's intermediate representation: an `.xml` file with the network, and a `.bin` file with its weights."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from gateway.core.errors import ModelRefused
from gateway.repository.archive import check_links
from gateway.repository.description import ANY, Description, Hints, Tensor
from gateway.repository.kinds.base import Target
from gateway.repository.kinds.hinted import batching, corrected
from gateway.repository.kinds.specs import folder_size

if TYPE_CHECKING:
    from gateway.repository.kinds.base import Array

_HEAD_BYTES = 4096
_OLDEST = 10
_VERSION = re.compile(r"[1-9][0-9]*")
_DATATYPES = {
    "boolean": "BOOL", "u8": "UINT8", "u16": "UINT16", "u32": "UINT32", "u64": "UINT64", "i8": "INT8", "i16": "INT16",
    "i32": "INT32", "i64": "INT64", "f16": "FP16", "f32": "FP32", "f64": "FP64", "bf16": "BF16", "string": "BYTES",
    "bool": "BOOL", "fp16": "FP16", "fp32": "FP32", "fp64": "FP64",
}  # fmt: skip
"""As `element_type` says it, and in the last line as `precision` does where it differs."""


class OpenVINOKind:
    """A network in OpenVINO's own format; the backend is a part of Triton's containers."""

    name = "openvino"
    title = "OpenVINO IR (.xml and .bin)"

    def recognise(self, source: Path) -> bool:
        """An XML file that begins with `<net`, or a folder with exactly one such file and no versions."""
        try:
            return _is_network(source) if source.is_file() else _network_in(source) is not None
        except OSError:
            return False

    def companions(self, source: Path) -> tuple[Path, ...]:
        """The weights."""
        weights = source.with_suffix(".bin")
        return (weights,) if weights.is_file() else ()

    def prepare(self, source: Path, target: Target, hints: Hints) -> Description:
        """The two files as `model.xml` and `model.bin`.

        Raises:
            ModelRefused: the weights are missing, or the network cannot be read.
        """
        if source.is_dir():
            check_links(source)
        network = source if source.is_file() else _network_in(source)
        if network is None:
            raise ModelRefused(f"the folder '{source.name}' must hold exactly one network; drop each by itself")
        weights = network.with_suffix(".bin")
        if not weights.is_file():
            raise ModelRefused(
                f"'{weights.name}' is missing: it holds the weights of '{network.name}'; put it beside that file"
            )
        root = _parse(network)
        layers = {layer.get("id", ""): layer for layer in root.iterfind("layers/layer")}
        inputs = corrected("input", tuple(_inputs(layers)), hints.inputs)
        outputs = corrected("output", tuple(_outputs(root, layers)), hints.outputs)
        shutil.copyfile(network, target.version / "model.xml")
        shutil.copyfile(weights, target.version / "model.bin")
        producer = root.find("rt_info/Runtime_version")
        return Description(
            kind=self.name,
            backend="openvino",
            framework=None,
            inputs=inputs,
            outputs=outputs,
            batches=batching(hints, inputs, outputs),
            filename="model.xml",
            size_bytes=folder_size(target.version),
            opset=_opsets(layers),
            origin={
                "format": f"OpenVINO IR {root.get('version')}",
                **({"producer": f"OpenVINO {producer.get('value')}"} if producer is not None else {}),
            },
        )

    def reference(self, version: Path, description: Description, inputs: Mapping[str, Array]) -> Mapping[str, Array]:  # noqa: ARG002 - of the protocol
        """Nothing: OpenVINO is not installed beside the gateway."""
        return {}


def _is_network(path: Path) -> bool:
    if path.suffix.lower() != ".xml":
        return False
    with path.open("rb") as file:
        return re.search(rb"<net[\s>]", file.read(_HEAD_BYTES)) is not None


def _network_in(folder: Path) -> Path | None:
    entries = list(folder.iterdir())
    if any(_VERSION.fullmatch(entry.name) and entry.is_dir() for entry in entries):
        return None
    networks = [entry for entry in entries if entry.is_file() and _is_network(entry)]
    return networks[0] if len(networks) == 1 else None


def _parse(path: Path) -> ElementTree.Element:
    """The network; XML with a document type is refused, as entities can swell without end or name other files."""
    try:
        text = path.read_text("utf-8")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise ModelRefused(f"'{path.name}' has a document type or entities, which no OpenVINO network needs")
        root = ElementTree.fromstring(text)  # noqa: S314 - no entities, see above
    except UnicodeDecodeError:
        raise ModelRefused(f"'{path.name}' is not UTF-8, as OpenVINO writes it; save the model again") from None
    except ElementTree.ParseError as error:
        raise ModelRefused(f"'{path.name}' is no whole XML file ({error}); copy it again") from None
    version = root.get("version", "")
    if root.tag != "net" or not version.isdigit():
        raise ModelRefused(f"'{path.name}' is XML, but no OpenVINO network")
    if int(version) < _OLDEST:
        raise ModelRefused(
            f"'{path.name}' is IR version {version}, which OpenVINO no longer reads; convert the original model again "
            "with `ovc`"
        )
    return root


def _inputs(layers: Mapping[str, ElementTree.Element]) -> Iterator[Tensor]:
    for layer in layers.values():
        if layer.get("type") != "Parameter":
            continue
        data, port = layer.find("data"), layer.find("output/port")
        names = _names(port)
        name = names[0] if names else layer.get("name", "")
        element = data.get("element_type", "") if data is not None else ""
        shape = _sizes(name, data.get("shape", "") if data is not None else "")
        yield Tensor(name, _datatype("input", name, element), shape)


def _outputs(root: ElementTree.Element, layers: Mapping[str, ElementTree.Element]) -> Iterator[Tensor]:
    """What the results are fed with: its names are on the port of the layer that gives it."""
    feeds = {
        edge.get("to-layer", ""): (edge.get("from-layer", ""), edge.get("from-port", ""))
        for edge in root.iterfind("edges/edge")
    }
    for key, layer in layers.items():
        if layer.get("type") != "Result":
            continue
        giver, number = feeds.get(key, ("", ""))
        ports = list(layers[giver].iterfind("output/port")) if giver in layers else []
        port = next((port for port in ports if port.get("id") == number), None)
        if port is None:
            raise ModelRefused(f"the result '{layer.get('name')}' is connected to nothing; the file is damaged")
        names = _names(port)
        name = (
            names[0] if names else layers[giver].get("name", "") + (f".{ports.index(port)}" if len(ports) > 1 else "")
        )
        shape = tuple(_size(dimension.text or "") for dimension in port.iterfind("dim"))
        yield Tensor(name, _datatype("output", name, port.get("precision", "")), shape)


def _names(port: ElementTree.Element | None) -> list[str]:
    """The tensor's names in order; OpenVINO calls it by the first. A comma inside of a name has a backslash before."""
    text = port.get("names", "") if port is not None else ""
    return sorted(name.replace("\\,", ",") for name in re.split(r"(?<!\\),", text) if name)


def _datatype(side: str, name: str, element: str) -> str:
    datatype = _DATATYPES.get(element.lower())
    if datatype is None:
        raise ModelRefused(
            f"{side} '{name}' is {element or 'of no type'}, which Triton cannot carry; convert it to f32"
        )
    return datatype


def _sizes(name: str, shape: str) -> tuple[int, ...]:
    if "..." in shape:
        raise ModelRefused(
            f"input '{name}' may have any number of dimensions; convert the model with a shape, such as "
            "`ovc --input 'NAME[?,3,224,224]'`"
        )
    return tuple(_size(each) for each in shape.split(",")) if shape.strip() else ()


def _size(text: str) -> int:
    """One dimension; "?", "-1" and ranges such as "1..8" are any size."""
    return int(text) if text.strip().isdigit() else ANY


def _opsets(layers: Mapping[str, ElementTree.Element]) -> str:
    versions = {layer.get("version", "") for layer in layers.values()}
    numbers = [int(version.removeprefix("opset")) for version in versions if re.fullmatch(r"opset\d+", version)]
    others = sorted(version for version in versions if version and not re.fullmatch(r"opset\d+", version))
    return ", ".join([*([f"opset{max(numbers)}"] if numbers else []), *others])
