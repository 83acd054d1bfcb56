"""One variant for one target: engines built from its typed ONNX, checked, and run where there is a GPU like theirs."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from converters.build.cache import Made
from converters.build.config import TargetSection
from converters.build.events import StepProgress
from converters.build.gate_step import Judge
from converters.build.stored import store, stored
from converters.build.variant_step import Typed
from converters.build.workbench import Workbench
from converters.engines.base import Builder, BuildOptions, Profile
from converters.engines.builders import builder as builder_named
from converters.engines.gpus import gpus
from converters.engines.loaded import EngineRunner
from converters.engines.profiles import Batch, profiles
from converters.engines.validity import check
from converters.graph.signature import Signature, signature_of
from converters.verify.base import Verdict

PLAN = "model.plan"


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """What is known of a plan without reading it; see `Plan`."""

    builder: str
    version: str
    compute_capabilities: tuple[int, ...]
    signature: Signature
    profiles: tuple[Profile, ...]
    seconds: float
    warnings: tuple[str, ...]
    sha256: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Engine:
    """One plan, checked.

    Attributes:
        path: of the plan.
        facts: of it.
        cached: whether it was there already.
        ran: whether the plan itself was run, or only the ONNX that it was built from.
        verdict: of its run; None where it was not run.
    """

    path: Path
    facts: PlanFacts
    cached: bool
    ran: Literal["engine", "onnx"]
    verdict: Verdict | None


@dataclass(slots=True)
class EngineStep:
    """Builds the plans of one variant for one target."""

    bench: Workbench
    judge: Judge
    variant: str
    target: str

    @property
    def section(self) -> TargetSection:
        """What the configuration says of the target."""
        return self.bench.config.targets[self.target]

    def engines(self, typed: Typed) -> tuple[Engine, ...]:
        """One plan for all of the target's GPUs, or one for each.

        Raises:
            ConversionError: with the model and the step.
        """
        targets = self.section.compute_capabilities
        groups = [(each,) for each in targets] if self.section.plans == "each" else [targets]
        return tuple(self._engine(typed, group) for group in groups)

    def _engine(self, typed: Typed, group: tuple[int, ...]) -> Engine:
        name = f"engine {self.variant} {self.target}" + (f" sm_{group[0]}" if self.section.plans == "each" else "")
        builder = builder_named(self.section.builder)
        made = self._made(name, typed, builder, group)
        facts = stored(made.folder / "plan.json", PlanFacts)
        plan = made.folder / PLAN
        check(plan.read_bytes(), builder=facts.builder, version=facts.version)
        names = ", ".join(f"sm_{each}" for each in facts.compute_capabilities)
        self.bench.done(name, f"{names}, {facts.size_bytes / 1e6:.1f} MB in {facts.seconds:.1f} s", cached=made.cached)
        verdict = self._verdict(made, facts, typed)
        return Engine(plan, facts, made.cached, "engine" if verdict else "onnx", verdict)

    def _made(self, name: str, typed: Typed, builder: Builder, group: tuple[int, ...]) -> Made:
        options = build_options(self.section, group)
        made_from: Mapping[str, Any] = {
            "typed": typed.made.digest,
            "batch": self.bench.section.batch.model_dump(),
            "shapes": self.bench.section.model_dump(mode="json")["shapes"],
            "options": asdict(options),
            "builder": [builder.name, builder.version],
            # Without targets a plan is for the GPU of this machine.
            "gpus": [] if group else [[gpu.name, gpu.compute_capability] for gpu in gpus()],
        }

        def work(folder: Path, progress: StepProgress) -> None:
            model = typed.model()
            batch = Batch(**self.bench.section.batch.model_dump())
            found = profiles(signature_of(model), batch, self.bench.section.shapes)
            timing = replace(options, profiles=found, timing_cache=self._timing_cache())
            plan = builder.build(model, timing, progress)
            (folder / PLAN).write_bytes(plan.data)
            facts = PlanFacts(
                plan.builder, plan.version, plan.compute_capabilities, plan.signature, plan.profiles, plan.seconds,
                plan.warnings, hashlib.sha256(plan.data).hexdigest(), len(plan.data),
            )  # fmt: skip
            store(folder / "plan.json", facts)

        return self.bench.step(name, "engine", made_from, work)

    def _timing_cache(self) -> Path | None:
        if self.section.builder != "tensorrt":  # TensorRT for RTX times nothing when it builds
            return None
        return self.bench.path(self.bench.config.output) / "timing" / f"{self.section.builder}.cache"

    def _runner(self, made: Made, typed: Typed) -> EngineRunner:
        weights = typed.model().SerializeToString() if self.section.strip_weights else None
        return EngineRunner(made.folder / PLAN, self.section.builder, weights)

    def _verdict(self, made: Made, facts: PlanFacts, typed: Typed) -> Verdict | None:
        """What the gate says of the plan's own run; None where no GPU like its own is there."""
        here = [gpu for gpu in gpus() if gpu.compute_capability in facts.compute_capabilities]
        if not here:
            return None
        section = self.bench.section.variants[self.variant]
        name = f"gate {self.variant} {self.target}"
        return self.judge.accepted(
            name, made, lambda: self._runner(made, typed), section.gate, section.precision, gpu=here[0].name
        )


def build_options(section: TargetSection, compute_capabilities: tuple[int, ...]) -> BuildOptions:
    """What the configuration asks of a builder, without profiles and a timing cache, which depend on the model."""
    return BuildOptions(
        compute_capabilities=compute_capabilities,
        workspace_mib=section.workspace_mib,
        optimization_level=section.optimization_level,
        version_compatible=section.version_compatible,
        hardware_compatible=section.hardware_compatible,
        strip_weights=section.strip_weights,
        tf32=section.tf32,
    )
