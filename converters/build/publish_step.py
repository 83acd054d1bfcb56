"""Results into the model repository: the last step, which only what passed every gate comes to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import converters
from converters.build.engine_step import Engine, build_options
from converters.build.onnx_step import Converted
from converters.build.results import Built
from converters.build.stored import plain
from converters.build.tools import versions
from converters.build.variant_step import Typed
from converters.build.workbench import Workbench
from converters.engines.base import Profile
from converters.engines.record import EngineRecord, plain_options, plain_profiles
from converters.graph.files import digest_of_file
from converters.graph.signature import Signature, signature_of
from converters.precision.base import QUANTISED
from converters.publish.config_pbtxt import ConfigFromSignature
from converters.publish.folder import Content, Published, publish
from converters.publish.source_config import SourceConfig, read_source_config
from converters.verify.base import Verdict

ONNX = "model.onnx"


class Publication:
    """Publishes one variant of a model for one target."""

    def __init__(self, bench: Workbench, converted: Converted, typed: Typed, variant: str, target: str) -> None:
        self._bench = bench
        self._converted = converted
        self._typed = typed
        self._variant = variant
        self._target = target

    def engines(self, engines: Sequence[Engine]) -> Built:
        """Publish plans.

        Raises:
            ConversionError: with the model and the step.
        """
        files, targets, records = dict[str, Path](), dict[str, tuple[int, ...]](), list[EngineRecord]()
        section = self._bench.config.targets[self._target]
        for engine in engines:
            facts = engine.facts
            name = "model.plan" if len(engines) == 1 else f"model_sm{facts.compute_capabilities[0]}.plan"
            files[name], targets[name] = engine.path, facts.compute_capabilities
            record = self._record(name, facts.sha256, facts.size_bytes, (facts.builder, facts.version))
            records.append(
                replace(
                    record,
                    compute_capabilities=facts.compute_capabilities,
                    profiles=plain_profiles(facts.profiles),
                    options=plain_options(build_options(section, facts.compute_capabilities)),
                    gate=self._gate(engine.verdict or self._typed.verdict, engine.ran),
                    seconds=facts.seconds,
                )
            )
        if section.strip_weights:
            # What the plans are refitted with where they are loaded.
            files.update({path.name: path for path in sorted(self._typed.made.folder.glob(f"{ONNX}*"))})
        first = engines[0].facts
        config = self._config(first.signature, "tensorrt", targets, first.profiles)
        published = self._publish(files, records, config)
        return Built(
            target=self._target,
            builder=first.builder,
            version=first.version,
            compute_capabilities=tuple(sorted({each for group in targets.values() for each in group})),
            files={name: path.stat().st_size for name, path in files.items()},
            seconds=sum(engine.facts.seconds for engine in engines),
            cached=all(engine.cached for engine in engines),
            ran="engine" if all(engine.ran == "engine" for engine in engines) else "onnx",
            verdict=next((engine.verdict for engine in engines if engine.verdict), None),
            published=_place(published),
            new=published.outcome == "published",
            warnings=tuple(dict.fromkeys(warning for engine in engines for warning in engine.facts.warnings)),
        )

    def onnx(self) -> Built:
        """Publish the typed ONNX for ONNX Runtime.

        Raises:
            ConversionError: with the model and the step.
        """
        folder = self._typed.made.folder
        files = {path.name: path for path in sorted(folder.glob("model.onnx*"))}
        size = sum(path.stat().st_size for path in files.values())
        version = versions(("onnxruntime",)).get("onnxruntime", "")
        record = self._record(ONNX, digest_of_file(folder / ONNX), size, ("onnxruntime", version))
        record = replace(record, gate=self._gate(self._typed.verdict, "onnx"))
        config = self._config(signature_of(self._typed.model()), "onnxruntime", {ONNX: ()}, ())
        published = self._publish(files, [record], config)
        return Built(
            target=self._target,
            builder="onnxruntime",
            version=version,
            files={name: path.stat().st_size for name, path in files.items()},
            cached=self._typed.made.cached,
            verdict=self._typed.verdict,
            published=_place(published),
            new=published.outcome == "published",
        )

    def _publish(self, files: Mapping[str, Path], records: Sequence[EngineRecord], config: str) -> Published:
        step = f"publish {self._variant} {self._target}"
        bench = self._bench
        name = bench.config.published_name(bench.name, self._variant, self._target)
        content = Content(files, tuple(records), config, self._source().files)
        with bench.at(step):
            published = publish(bench.path(bench.config.repository), name, content)
        bench.done(step, f"{_place(published)} {published.outcome}", cached=published.outcome != "published")
        return published

    def _config(
        self, signature: Signature, backend: Any, files: Mapping[str, tuple[int, ...]], profiles: tuple[Profile, ...]
    ) -> str:
        bench = self._bench
        lineage = self._converted.lineage
        version = f" version {lineage.version}" if lineage.version else ""
        with bench.at(f"publish {self._variant} {self._target}"):
            return ConfigFromSignature(
                name=bench.config.published_name(bench.name, self._variant, self._target),
                signature=signature,
                backend=backend,
                files=files,
                profiles=profiles,
                source=self._source(),
                lineage=f"{lineage.name}{version}, {bench.section.variants[self._variant].precision}",
            )()

    def _source(self) -> SourceConfig:
        """What the source's own configuration says, where it is a model of a repository."""
        path = self._converted.original.path
        return read_source_config(path.parent.parent) if self._converted.lineage.version else SourceConfig()

    def _record(self, file: str, sha256: str, size: int, builder: tuple[str, str]) -> EngineRecord:
        section = self._bench.section.variants[self._variant]
        return EngineRecord(
            file=file,
            sha256=sha256,
            size_bytes=size,
            format="onnx" if file == ONNX else "plan",
            builder=builder[0],
            builder_version=builder[1],
            precision=section.precision,
            source=self._converted.lineage,
            onnx_sha256=digest_of_file(self._typed.made.folder / ONNX),
            built_at=datetime.now(UTC).isoformat(timespec="seconds"),
            seconds=0.0,
            converters_version=converters.VERSION,
            kept_fp32=tuple(sorted(self._typed.kept.fp32)),
            calibration=self._calibration(),
        )

    def _calibration(self) -> dict[str, Any]:
        section, data = self._bench.section.variants[self._variant], self._converted.calibration
        if section.precision not in QUANTISED or data is None:
            return {}
        return {
            "origin": data.origin,
            "sha256": data.digest,
            "batches": len(data),
            "unquantised": sorted(self._typed.kept.unquantised),
            **section.calibration.model_dump(mode="json"),
        }

    def _gate(self, verdict: Verdict | None, ran: str) -> dict[str, Any]:
        return {} if verdict is None else {"ran": ran, **plain(verdict)}


def _place(published: Published) -> str:
    return f"{published.folder.name}/{published.version}"
