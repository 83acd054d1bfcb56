"""Which model folders may be shown to Triton at all, and which of them it need not complete.

Triton starts a backend process as `bash -c "exec STUB REPOSITORY/MODEL/VERSION/FILE ..."` without quotes. A space in
any of these makes the load hang for ever, and other characters run as commands. What is refused here never reaches it.
"""

from __future__ import annotations

import re
from pathlib import Path

from gateway.repository import config_text

_OUR_BACKENDS = frozenset({"fil", "onnxruntime", "pytorch", "tensorflow", "tensorrt"})
_SAFE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
_SAFE_VALUE = re.compile(r"[A-Za-z0-9._/-]*")
_STRING = r""""(?:[^"\\\n]|\\.)*"|'(?:[^'\\\n]|\\.)*'"""
# The two settings that end up on that command line: the file's name, and an environment that it sources.
_FILE_NAME = re.compile(rf"\b(default_model_filename)\s*:\s*((?:(?:{_STRING})\s*)+)")
_PARAMETER = re.compile(
    rf"""["'](EXECUTION_ENV_PATH)["']\s*[,;]?\s*value\s*:?\s*[{{<]\s*string_value\s*:\s*((?:(?:{_STRING})\s*)+)"""
)


def why_unsafe(repository: Path, model: str) -> str | None:
    """Why a model cannot be given to Triton, as one sentence; None when it can."""
    if not _SAFE_NAME.fullmatch(model):
        return (
            f"the folder's name {model!r} has characters that Triton cannot take; rename it with letters, digits, "
            "`_`, `-` and `.` only"
        )
    folder = repository / model
    if not folder.is_dir():
        return f"there is no folder {model!r} in {repository}"
    try:
        text = (folder / "config.pbtxt").read_text("utf-8", "replace")
    except FileNotFoundError:
        return None  # Triton completes it
    except OSError as error:
        return f"its config.pbtxt cannot be read: {error.strerror}"
    text = re.sub(rf"({_STRING})|#[^\n]*", lambda match: match[1] or "", text)  # without comments
    for field, value in (*_FILE_NAME.findall(text), *_PARAMETER.findall(text)):
        # Adjacent strings are one, as in C. An escape may stand for anything, so a backslash is not safe either.
        joined = "".join(part[1:-1] for part in re.findall(_STRING, value)).replace("$$TRITON_MODEL_DIRECTORY", "")
        if not _SAFE_VALUE.fullmatch(joined):
            return (
                f"{field} in its config.pbtxt has characters that Triton cannot take; use letters, digits, `_`, `-`, "
                "`.` and `/` only"
            )
    return None


def is_complete(repository: Path, model: str) -> bool:
    """Whether Triton need not ask the model's backend for the rest of its configuration.

    Only our own backends are known to add nothing then: a Python model of the user's own may do what it likes in
    `auto_complete_config`.
    """
    return _says_all(repository, model, _OUR_BACKENDS)


def can_be_loaded_as_it_is(repository: Path, model: str) -> bool:
    """Whether a Triton that asks no backend for anything can load the model; a Python model by what is written."""
    return _says_all(repository, model, _OUR_BACKENDS | {"python"})


def _says_all(repository: Path, model: str, backends: frozenset[str]) -> bool:
    try:
        text = (repository / model / "config.pbtxt").read_text("utf-8", "replace")
    except OSError:
        return False
    settings = dict(config_text.top_level_strings(text))
    if settings.get("platform") == "ensemble":  # which is configuration and nothing else
        return True
    return settings.get("backend") in backends and config_text.is_complete(text)
