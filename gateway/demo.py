"""The main job, shown on real input: all example clients at the same time, against the gateway that is running.

Each example runs in a process of its own, exactly as a user would start it, and says with `--json` what it found.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from gateway.assets import asset
from gateway.snippets import snippets_for

PITCH_MODELS = {"basic_pitch": ("TensorFlow", "gRPC"), "basic_pitch_onnx": ("ONNX", "HTTP")}
SAMPLE_MODELS = (*PITCH_MODELS, "magika", "silero_vad")

_EXAMPLE_SECONDS = 60.0
_WIDTH = 64  # columns of the piano roll and of the speech probabilities
_LEAST_AGREEMENT = 0.95  # of speech probabilities with the people who labelled the conversation


Found = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Answer:
    """What an example said.

    Attributes:
        found: its JSON; None if it failed.
        error: why it failed.
        seconds: how long it took, the start of its interpreter included.
    """

    found: Found | None
    error: str
    seconds: float


async def run_demo(http: str, grpc: str, ready_models: Collection[str], console: Console) -> bool:
    """Run the examples of the models that are ready, and show what they found and how to call the models again.

    Args:
        http: HOST:PORT of the gateway's HTTP front end.
        grpc: HOST:PORT of its gRPC front end.
        ready_models: the names of the models that can be called.
        console: where it is shown.

    Returns:
        whether every answer was the right one.
    """
    examples = asset("examples")
    files = _files_of_known_type(examples)
    commands = {name: arguments for name, arguments in _commands(http, grpc, files).items() if name in ready_models}
    if not commands:
        console.print("None of the sample models is ready, so there is nothing to show: `make models` fetches them.")
        return True
    started = time.monotonic()
    with console.status(f"Calling {len(commands)} models at the same time"):
        answers = dict(zip(commands, await _run_all(examples, list(commands.values())), strict=True))
    elapsed = time.monotonic() - started
    for name in SAMPLE_MODELS:
        if name not in commands:
            console.print(f"[dim]{name} is not ready, so its part is left out.[/]", highlight=False)
    found = {name: answer.found for name, answer in answers.items() if answer.found is not None}
    right = [_show_failures(answers, console), _show_notes(found, console)]
    right += [_show_types(found.get("magika"), files, console), _show_speech(found.get("silero_vad"), console)]
    console.print(f"\nAll of it at the same time, clients included, in [bold]{elapsed:.1f} s[/].", highlight=False)
    _show_calls(http, commands, examples, console)
    return all(right)


def _commands(http: str, grpc: str, files: Mapping[Path, str]) -> dict[str, list[str]]:
    """The example of each model; both protocols are used."""
    over = {"HTTP": ["--protocol", "http", "--url", http], "gRPC": ["--protocol", "grpc", "--url", grpc]}
    commands = {
        name: ["transcribe.py", "--model", name, *over[protocol]] for name, (_, protocol) in PITCH_MODELS.items()
    }
    commands["magika"] = ["identify_files.py", *over["gRPC"], *map(str, files)]
    commands["silero_vad"] = ["detect_speech.py", *over["HTTP"]]
    return commands


def _files_of_known_type(examples: Path) -> dict[Path, str]:
    """Real files that are here, and what they are."""
    known = {
        examples / "README.md": "markdown",
        examples / "transcribe.py": "python",
        examples / "curl.sh": "shell",
        examples / "data" / "conversation" / "conversation.wav": "wav",
        asset("configs") / "gateway.yaml": "yaml",
        asset("model_repository") / "magika" / "1" / "model.onnx": "onnx",
        Path(sys.executable).resolve(): "elf",
    }
    return {path: label for path, label in known.items() if path.is_file()}


async def _run_all(examples: Path, commands: Sequence[Sequence[str]]) -> list[Answer]:
    async with asyncio.TaskGroup() as group:  # which, when cancelled, waits until every example has ended
        tasks = [group.create_task(_run(examples / script, arguments)) for script, *arguments in commands]
    return [task.result() for task in tasks]


async def _run(script: Path, arguments: Sequence[str]) -> Answer:
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(script),
        "--json",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # Ctrl-C in a terminal reaches this process alone, which then ends the example
    )
    try:
        async with asyncio.timeout(_EXAMPLE_SECONDS):
            output, errors = await process.communicate()
    except TimeoutError:
        return Answer(None, f"no answer within {_EXAMPLE_SECONDS:.0f} s", _EXAMPLE_SECONDS)
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
    seconds = time.monotonic() - started
    if process.returncode:
        said = errors.decode(errors="replace").strip().splitlines() or ["it said nothing"]
        return Answer(None, said[-1], seconds)
    return Answer(json.loads(output), "", seconds)


def _show_failures(answers: Mapping[str, Answer], console: Console) -> bool:
    failed = {name: answer for name, answer in answers.items() if answer.found is None}
    for name, answer in failed.items():
        console.print(_verdict(False, f"{name} gave no answer: {answer.error}"), soft_wrap=True)
    return not failed


def _show_notes(found: Mapping[str, Found], console: Console) -> bool:
    """A piano roll of the melody, and whether each model found it."""
    models = [name for name in PITCH_MODELS if name in found]
    if not models:
        return True
    _title("Notes of a synthesised melody", console)
    for line in _piano_roll(found[models[0]]["notes"], found[models[0]]["seconds"]):
        console.print(Text(f"  {line}"), soft_wrap=True)
    for name in models:
        framework, protocol = PITCH_MODELS[name]
        matches, count = found[name]["matches"], len(found[name]["notes"])
        what = "they are the melody's" if matches else "they are NOT the melody's"
        console.print(_verdict(matches, f"{name} ({framework}, {protocol}): {count} notes, {what}"))
    right = all(found[name]["matches"] for name in models)
    if len(models) < len(PITCH_MODELS):
        return right
    one, other = (found[name]["notes"] for name in models)
    agree = [note["pitch"] for note in one] == [note["pitch"] for note in other]
    apart = max((abs(a["onset"] - b["onset"]) for a, b in zip(one, other, strict=agree)), default=0.0)
    what = f"both models agree, onsets {1000 * apart:.0f} ms apart at most" if agree else "the models do NOT agree"
    console.print(_verdict(agree, what))
    return right and agree


def _piano_roll(notes: Sequence[Mapping[str, Any]], seconds: float) -> list[str]:
    """A line for each pitch that occurs, the highest first: a dot where a note begins, a line while it sounds."""
    names = {note["pitch"]: note["name"] for note in notes}
    rows = {pitch: [" "] * _WIDTH for pitch in sorted(names, reverse=True)}
    for note in notes:
        begin = min(int(note["onset"] / seconds * _WIDTH), _WIDTH - 1)
        end = min(int((note["onset"] + note["duration"]) / seconds * _WIDTH), _WIDTH)
        rows[note["pitch"]][begin:end] = ["●", *"━" * (end - begin - 1)]
    return [f"{names[pitch]:>3} {''.join(row).rstrip()}" for pitch, row in rows.items()]


def _show_types(found: Found | None, files: Mapping[Path, str], console: Console) -> bool:
    if found is None:
        return True
    _title("Types of a few real files (magika: ONNX, gRPC)", console)
    right = []
    for row in found["files"]:
        path = Path(row["file"])
        right.append(row["label"] == files[path])
        console.print(_verdict(right[-1], f"{path.name:<18} {row['label']:<10} {row['score']:6.1%}"))
    return all(right)


def _show_speech(found: Found | None, console: Console) -> bool:
    """The probabilities as a line of bars, and whether people who listened agree with them."""
    if found is None:
        return True
    _title(f"Speech in {found['seconds']:.0f} s of conversation (silero_vad: PyTorch, HTTP)", console)
    console.print(Text(f"  {_bars(found['probabilities'])}"), soft_wrap=True)
    agreement, windows = found["agreement"] or 0.0, len(found["probabilities"])
    right = agreement >= _LEAST_AGREEMENT
    console.print(_verdict(right, f"{agreement:.1%} of {windows} windows are as people labelled them"))
    return right


def _bars(probabilities: Sequence[float]) -> str:
    """One character for each stretch of time, as high as the mean of its probabilities."""
    edges = [round(column * len(probabilities) / _WIDTH) for column in range(_WIDTH + 1)]
    stretches = [probabilities[a:b] for a, b in pairwise(edges) if a < b]
    return "".join("▁▂▃▄▅▆▇█"[min(int(sum(s) / len(s) * 8), 7)] for s in stretches)


def _show_calls(http: str, models: Collection[str], examples: Path, console: Console) -> None:
    snippets = snippets_for(models, http, Path(sys.executable), examples)
    if snippets is None:
        return
    for title, text in (("Call it yourself, with curl", snippets.curl), ("and with Python", snippets.python)):
        _title(title, console)
        console.print(Text(text), soft_wrap=True)
    console.print(f"\nThe clients that ran just now, for you to copy: {examples}", soft_wrap=True, highlight=False)


def _title(text: str, console: Console) -> None:
    console.print(f"\n[bold]{text}[/]", highlight=False)


def _verdict(right: bool, text: str) -> Text:
    return Text.assemble("  ", ("✓ ", "green") if right else ("✗ ", "red"), text)
