"""The process that a dropped model is opened and tried out in: `python -m gateway.repository.sandboxed`.

It reads one request, confines itself before it opens anything of the model, and answers. What frameworks and models
print goes to standard error, which the parent keeps the end of.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

from gateway.assets import asset
from gateway.core.errors import ModelRefused
from gateway.repository import reasons
from gateway.repository.archive import check_links, check_tree
from gateway.repository.confine import confine
from gateway.repository.description import Check, Description, Hints, Prepared
from gateway.repository.kinds.base import Kind, Target, Unwrapped
from gateway.repository.recognise import recognise
from gateway.repository.sandbox_messages import MODEL_FOLDER, Request, prepared_as_dict

_CONFIG = "config.pbtxt"
_MOST_WRAPPERS = 3  # one inside the other


def main() -> None:
    """Answer the one request on standard input."""
    answer = os.dup(1)
    os.dup2(2, 1)
    request = Request.from_json(sys.stdin.readline())
    os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
    trial = Trial(request, lambda message: _say(answer, message))
    _say(answer, trial.run())
    sys.stderr.flush()
    os._exit(0)  # a framework that crashes while it is torn down has nothing more to say


def _say(answer: int, message: dict[str, Any]) -> None:
    line = memoryview(json.dumps(message).encode() + b"\n")
    while line:
        line = line[os.write(answer, line) :]


def _peak() -> str:
    """Of the whole process, the framework and its converter included."""
    return f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024} MiB at most"


class Trial:
    """Everything that is done with one model, in this process.

    Args:
        request: what is asked.
        say: told of progress.
    """

    def __init__(self, request: Request, say: Callable[[dict[str, Any]], None]) -> None:
        self._request, self._say = request, say
        self._doing = "starting the trial"

    def run(self) -> dict[str, Any]:
        """The answer; never raises, whatever the model does."""
        try:
            backends = asset("backends").resolve()
            sys.path.append(str(backends.parent))
            request = self._request
            missing = confine(request.limits, (*request.readable, backends), request.scratch)
            return {"prepared": prepared_as_dict(self._prepare(missing))}
        except BaseException as error:  # a model may raise anything, SystemExit too
            return {"refused": reasons.of_exception(error, self._doing, self._request.limits)}

    def _prepare(self, missing: tuple[str, ...]) -> Prepared:
        kind, unwrapped = self._unwrap()
        request, hints = self._request, unwrapped.hints
        from gateway.repository.labels import write_labels  # noqa: PLC0415 - after the process is confined

        target = Target(request.scratch / MODEL_FOLDER, request.scratch / MODEL_FOLDER / "1")
        target.version.mkdir(parents=True)
        self._begin(f"reading the model ({kind.title})")
        described = kind.prepare(unwrapped.source, target, hints)
        description = replace(
            write_labels(target.model, described, hints.labels),
            origin={**described.origin, **unwrapped.origin},
            ambiguous=(*described.ambiguous, *unwrapped.ambiguous),
        )
        if request.step == "inspect":
            return Prepared(target.model, description)
        return self._configure(kind, target, description, hints, missing)

    def _configure(
        self, kind: Kind, target: Target, description: Description, hints: Hints, missing: tuple[str, ...]
    ) -> Prepared:
        from gateway.repository import sample  # noqa: PLC0415 - brings numpy, whose threads must be confined too
        from gateway.repository.configure import configure  # noqa: PLC0415 - not needed to inspect
        from gateway.repository.handwritten import parse  # noqa: PLC0415 - as above
        from gateway.repository.warmup import write_warmup  # noqa: PLC0415 - as above

        request = self._request
        hardware, existing = request.hardware, self._existing(target)
        self._begin("writing its configuration")
        text = configure(request.name, description, hints, hardware, existing)
        given = None if hints.sample is None else sample.sample_inputs(description, hints)
        checks: tuple[Check, ...] = ()
        found: Mapping[str, Any] | None = given or sample.sample_inputs(description, hints)
        if request.step == "validate":
            samples = sample.candidates(description) if given is None else iter((given,))
            checks, found = self._validate(kind, target, description, hints, text, samples)
            checks += (Check("memory", _peak()), *(Check("sandbox", each) for each in missing))
            if found is not None:
                warmup = write_warmup(target.model, description, found)
                text = configure(request.name, description, hints, hardware, existing, warmup)
        (target.model / _CONFIG).write_text(text, encoding="utf-8")
        most = parse(text).max_batch_size
        sent = sample.as_json(description, found, max_batch_size=most) if found else ()
        return Prepared(target.model, description, checks, sent)

    def _existing(self, target: Target) -> str | None:
        """The configuration to keep: the one that came with the model, or else the one that it has so far."""
        own = target.model / _CONFIG
        return own.read_text(encoding="utf-8") if own.is_file() else self._request.existing

    def _validate(  # noqa: PLR0913, PLR0917 - what `validate` takes
        self,
        kind: Kind,
        target: Target,
        description: Description,
        hints: Hints,
        config: str,
        samples: Iterator[Mapping[str, Any]],
    ) -> tuple[tuple[Check, ...], Mapping[str, Any] | None]:
        from gateway.repository.config_json import as_json  # noqa: PLC0415 - not needed to inspect
        from gateway.repository.handwritten import parse  # noqa: PLC0415 - as above
        from gateway.repository.validate import validate  # noqa: PLC0415 - as above

        result = validate(target.version, as_json(parse(config)), description, kind, samples, hints, self._begin)
        return result.checks, result.sample

    def _unwrap(self) -> tuple[Kind, Unwrapped]:
        """The kind of the model itself, out of everything that it is wrapped in."""
        from gateway.repository.hints import merge, read_hints  # noqa: PLC0415 - it opens what lies beside the model

        source = self._request.source
        found = Unwrapped(source, merge(read_hints(source), self._request.hints), {})
        for depth in range(_MOST_WRAPPERS + 1):
            kind = recognise(found.source)
            if not hasattr(kind, "unwrap"):
                if found.source.is_dir():
                    check_tree(found.source)
                return kind, found
            if found.source.is_dir():
                check_links(found.source)
            self._begin(f"unpacking the {kind.title}")
            scratch = self._request.scratch / f"unwrapped-{depth}"
            scratch.mkdir()
            inner = kind.unwrap(found.source, scratch, found.hints)
            origin, ambiguous = {**found.origin, **inner.origin}, (*found.ambiguous, *inner.ambiguous)
            found = Unwrapped(inner.source, inner.hints, origin, ambiguous)
        raise ModelRefused(f"'{source.name}' is wrapped more than {_MOST_WRAPPERS} times; drop the model itself")

    def _begin(self, doing: str) -> None:
        self._doing = doing
        self._say({"progress": doing})


if __name__ == "__main__":
    main()
