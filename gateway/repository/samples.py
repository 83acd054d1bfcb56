"""Fetch the sample models, the input that the examples use, and what is converted, from the manifest's wheels.

Every file is verified, put together in a folder beside its place and renamed into it, so that a model is there as a
whole or not at all. What was fetched is recorded, and what somebody has changed since is left alone.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from rich.console import Console

from gateway.assets import asset
from gateway.core.errors import SetupError
from gateway.locks import exclusive
from gateway.repository.manifest import BuildEntry, FileEntry, Manifest, read_manifest
from gateway.repository.scan import installed_frameworks
from gateway.wheels import TIMEOUT_SECONDS, Wheel, download, sha256_of

VERSION = "1"
RECORD = ".fetched.json"
LOCK = ".fetched.lock"
_BUILD_SECONDS = 300.0

Download = Callable[[Wheel, Path, Console], Path]
State = Literal["fetched", "present", "kept", "skipped"]


@dataclass(frozen=True, slots=True)
class Sample:
    """What became of one sample.

    Attributes:
        name: of the model, the input, or the source.
        state: `fetched` now, `present` already, `kept` as somebody changed it, or `skipped`.
        reason: why it was kept or skipped.
    """

    name: str
    state: State
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class _Target:
    """A folder, and what makes it up."""

    name: str
    folder: Path
    wheel: Wheel
    licence: str
    files: Mapping[str, FileEntry]
    script: Path | None
    build: BuildEntry | None

    @property
    def entry(self) -> str:
        """Changes when the manifest asks for something else, or the build script does something else."""
        parts: list[Any] = [self.wheel.sha256, {name: file.sha256 for name, file in self.files.items()}]
        if self.build and self.script:
            parts += [self.build.output, _read_bytes(self.script).hex()]
        return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

    @property
    def verified(self) -> dict[str, str] | None:
        """The sha256 of each file, where the manifest knows it: not for a file that is built here."""
        return None if self.build else {name: file.sha256 for name, file in self.files.items()}


def fetch_samples(  # noqa: PLR0913 - all that is chosen about a fetch, most of it by keyword
    repository: Path,
    frameworks: Collection[str],
    console: Console,
    *,
    inputs: Path | None = None,
    sources: bool = False,
    download: Download = download,
) -> tuple[Sample, ...]:
    """Fetch what the repository's manifest names and is not there yet.

    Safe when several processes do it at once: the later ones wait, and find everything there.

    Args:
        repository: the model repository; one without a manifest is left as it is.
        frameworks: only the models of these are fetched.
        console: told what is fetched and what is not.
        inputs: where input for the examples goes, and the sources; default `data` in the examples' folder.
        sources: fetch the models that are only converted, too, whatever framework they are of.
        download: gets one wheel, verified.

    Raises:
        SetupError: the manifest is wrong, a wheel cannot be had, a file is not what it must be, or cannot be written.
    """
    manifest = read_manifest(repository)
    if manifest is None:
        return ()
    targets, skipped = _select(manifest, repository, inputs or asset("examples") / "data", frameworks, sources=sources)
    for sample in skipped:
        if sample.reason:
            console.print(f"{sample.name}: skipped: {sample.reason}", soft_wrap=True, markup=False)
    try:
        samples = [_state(target, _read_record(repository)) for target in targets]
        if any(sample is None for sample in samples):
            with (
                exclusive(repository / LOCK, console, doing="fetching the models", timeout=TIMEOUT_SECONDS),
                tempfile.TemporaryDirectory(prefix="triton-gateway-") as wheels,
            ):
                samples = list(_fetch_missing(targets, repository, Path(wheels), download, console))
    except OSError as error:
        where = error.filename or repository
        raise SetupError(
            f"{where}: cannot be written ({error.strerror}); make room or allow it, then run `make models` again"
        ) from None
    done = [sample for sample in samples if sample is not None]
    for sample in done:
        if sample.state == "kept":
            console.print(f"{sample.name}: kept: {sample.reason}", soft_wrap=True, markup=False)
    return (*done, *skipped)


def _select(
    manifest: Manifest, repository: Path, inputs: Path, frameworks: Collection[str], *, sources: bool
) -> tuple[list[_Target], list[Sample]]:
    """What is to be there, and what is not, with the reason where that is worth telling."""

    def target(name: str, folder: Path, entry: Any, build: BuildEntry | None) -> _Target:
        wheel = manifest.wheels[entry.wheel]
        script = repository / name / build.script if build else None
        pinned = Wheel(entry.wheel, wheel.version, wheel.sha256, wheel.platform)
        return _Target(name, folder, pinned, wheel.licence, entry.files, script, build)

    targets, skipped = [], []
    installed = installed_frameworks()
    for name, model in manifest.models.items():
        if model.framework not in frameworks:
            skipped.append(Sample(name, "skipped"))
        elif model.build and model.framework not in installed:
            extra = f"pip install 'triton-gateway[{model.framework}]'"
            reason = f"its file is built with {model.framework}, which is not installed; install the extra: {extra}"
            skipped.append(Sample(name, "skipped", reason))
        else:
            targets.append(target(name, repository / name / VERSION, model, model.build))
    chosen = {target.name for target in targets}
    for name, entry in manifest.inputs.items():
        if entry.model in chosen:
            targets.append(target(name, inputs / name, entry, None))
        else:
            skipped.append(Sample(name, "skipped"))
    if sources:
        targets += [target(name, inputs / name, entry, None) for name, entry in manifest.sources.items()]
    else:
        skipped += [Sample(name, "skipped") for name in manifest.sources]
    return targets, skipped


def _state(target: _Target, record: Mapping[str, Any]) -> Sample | None:
    """What is there already; None: it has to be fetched."""
    recorded = record.get(target.name)
    ours = recorded["files"] if recorded else target.verified
    found = _hash_files(target.folder, ours or ())
    if not found:
        return None
    wanted = recorded is None or recorded["entry"] == target.entry
    if ours is not None and wanted and ours.items() <= found.items():
        return Sample(target.name, "present")
    if ours is not None and found.items() <= ours.items():
        return None  # only what was fetched, but incomplete or no longer what the manifest asks for
    reason = f"{target.folder} was changed since it was fetched; delete it to fetch it again"
    return Sample(target.name, "kept", reason)


def _fetch_missing(
    targets: Sequence[_Target], repository: Path, wheels: Path, download: Download, console: Console
) -> Iterator[Sample]:
    record = _read_record(repository)  # again: another process may have been here before the lock was ours
    paths: dict[Wheel, Path] = {}
    for target in targets:
        sample = _state(target, record)
        if sample is None:
            if target.wheel not in paths:
                paths[target.wheel] = download(target.wheel, wheels, console)
            files = _fetch(target, paths[target.wheel], console)
            record[target.name] = {"entry": target.entry, "files": files}
            _write_record(repository, record)
            size = sum((target.folder / name).stat().st_size for name in files)
            origin = f"{target.wheel.name} {target.wheel.version}, {target.licence}"
            console.print(f"{target.name}: fetched {size / 1e6:.1f} MB ({origin})", soft_wrap=True, highlight=False)
            sample = Sample(target.name, "fetched")
        yield sample


def _fetch(target: _Target, wheel: Path, console: Console) -> dict[str, str]:
    """Put the folder together beside its place, then rename it.

    Returns:
        the sha256 of each file.
    """
    parent, name = target.folder.parent, target.folder.name
    parent.mkdir(parents=True, exist_ok=True)
    for left_over in parent.glob(f".{name}.*"):  # of a fetch that was killed: the lock is ours, so nobody works there
        shutil.rmtree(left_over)
    with tempfile.TemporaryDirectory(prefix=f".{name}.", dir=parent) as scratch:
        source, output, old = (Path(scratch) / part for part in ("source", "output", "old"))
        _extract(target, wheel, source)
        if target.build and target.script:
            output.mkdir()
            with console.status(f"{target.name}: building {target.build.output}"):
                _build(target.name, target.script, source, output / target.build.output)
        else:
            source.rename(output)
        if target.folder.exists():
            target.folder.rename(old)
        output.rename(target.folder)
    names = [target.build.output] if target.build else list(target.files)
    return _hash_files(target.folder, names)


def _extract(target: _Target, wheel: Path, folder: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        for name, file in target.files.items():
            try:
                content = archive.read(file.source)
            except KeyError:
                raise SetupError(f"{target.name}: {wheel.name} has no {file.source}; correct the manifest") from None
            digest = hashlib.sha256(content).hexdigest()
            if digest != file.sha256:
                raise SetupError(
                    f"{target.name}: {file.source} in {wheel.name} has sha256 {digest}, the manifest says {file.sha256}"
                )
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)


def _build(name: str, script: Path, source: Path, output: Path) -> None:
    """Run the build script in a process of its own: it imports a framework, this one never does."""
    command = [sys.executable, str(script.resolve()), str(source.resolve()), str(output.resolve())]
    try:
        result = subprocess.run(command, capture_output=True, text=True, timeout=_BUILD_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        raise SetupError(f"{name}: {script} did not end within {_BUILD_SECONDS:.0f} s") from None
    if result.returncode != 0 or not output.is_file():
        said = (result.stderr.strip() or "it wrote nothing").splitlines()[-1]
        raise SetupError(f"{name}: {script} failed: {said}")


def _hash_files(folder: Path, names: Collection[str]) -> dict[str, str]:
    """The sha256 of every file below the folder; of files other than `names`, that they are there."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            name = path.relative_to(folder).as_posix()
            found[name] = sha256_of(path) if name in names else "another file"
    return found


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SetupError(f"{path}: cannot be read ({error.strerror}); the manifest names it") from None


def _read_record(repository: Path) -> dict[str, Any]:
    try:
        record = json.loads((repository / RECORD).read_text(encoding="utf-8"))
        return {name: {"entry": str(r["entry"]), "files": dict(r["files"])} for name, r in record.items()}
    except FileNotFoundError:
        return {}
    except (ValueError, TypeError, KeyError, AttributeError):
        return {}  # whatever stands there, it is not what was fetched


def _write_record(repository: Path, record: Mapping[str, Any]) -> None:
    temporary = repository / f"{RECORD}.new"
    temporary.write_text(json.dumps(record, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    temporary.replace(repository / RECORD)
