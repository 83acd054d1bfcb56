"""A builder that needs nothing, for tests of everything that is around a builder."""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from converters.engines.base import BuildOptions, Plan, Progress
from converters.engines.checks import check_model
from converters.engines.validity import CAPABILITY_BITS, HEADER_BYTES, pack_header
from converters.errors import OutOfResources, ToolMissing, Unsupported
from converters.graph.names import label
from converters.graph.signature import signature_of

MAGIC = b"fake"
_STEPS = 4


@dataclass(frozen=True, slots=True)
class FakeBuilder:
    """Makes plans that hold the ONNX itself behind a header like a real one's. No TensorRT takes them.

    Attributes:
        name: as errors and records say it.
        version: that its plans carry.
        memory: bytes of the largest model that it builds; None is any.
        gpu: the compute capability of the machine's pretended GPU; None is none.
    """

    name: str = "fake"
    version: str = "1.2.3.4"
    memory: int | None = None
    gpu: int | None = None

    def targets(self) -> tuple[int, ...]:
        """What the header has a bit for."""
        return CAPABILITY_BITS

    def build(self, model: onnx.ModelProto, options: BuildOptions, progress: Progress) -> Plan:
        """See `Builder.build`; operators of other domains than ONNX's are refused."""
        capabilities = self._capabilities(options)
        signature = signature_of(model)
        check_model(model, signature, options, capabilities)
        progress.stage("read ONNX")
        foreign = [node for node in model.graph.node if node.domain not in {"", "ai.onnx"}]
        if foreign:
            error = Unsupported(f"the builder has no {foreign[0].op_type}", hint="write it with ONNX operators")
            raise error.at(node=label(foreign[0]))
        body = model.SerializeToString()
        progress.stage("build engine", _STEPS)
        for step in range(_STEPS):
            progress.step(step + 1)
        if self.memory is not None and len(body) > self.memory:
            raise OutOfResources("the builder ran out of memory", hint="build fewer engines at a time")
        header = pack_header(MAGIC, self.version, capabilities, HEADER_BYTES + len(body))
        return Plan(
            data=header + body,
            builder=self.name,
            version=self.version,
            compute_capabilities=capabilities,
            signature=signature,
            profiles=options.profiles,
            seconds=0.0,
        )

    def _capabilities(self, options: BuildOptions) -> tuple[int, ...]:
        wanted = options.compute_capabilities or (() if self.gpu is None else (self.gpu,))
        if not wanted:
            raise ToolMissing("no target is named, and there is no GPU", hint="name targets in compute_capabilities")
        unknown = [each for each in wanted if each not in self.targets()]
        if unknown:
            raise Unsupported(f"fake does not build for sm_{unknown[0]}", hint=f"choose among {self.targets()}")
        return tuple(sorted(set(wanted)))


def model_in(plan: bytes) -> onnx.ModelProto:
    """The ONNX that a plan of the fake holds, for a fake way to run it."""
    return onnx.load_model_from_string(plan[HEADER_BYTES:])
