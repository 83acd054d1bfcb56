"""The frameworks that models come from: imported when needed, quiet, and with their errors cut to the point."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import os
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from converters.errors import ToolMissing

_LONGEST = 400
_NOISE = re.compile(r"\x1b\[[0-9;]*m|\{\{node [^}]*\}\}|\[\[[^]]*\]\]|\[Op:[^]]*\]")


def framework(module: str, *, extra: str, attribute: str) -> Any:
    """A framework's module; `attribute` is a name that only the real one has.

    A folder of the same name on `sys.path` imports as an empty package, so the name alone proves nothing.

    Raises:
        ToolMissing: it is not installed, or broken; says which extra to install.
    """
    install = f"pip install 'triton-gateway[{extra}]'"
    try:
        with quiet():
            found = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module.partition(".")[0]:
            raise ToolMissing(f"'{error.name}' is not installed", hint=install) from None
        raise ToolMissing(f"'{module}' is installed, but needs '{error.name}'", hint=f"repair it: {install}") from None
    except Exception as error:  # a broken shared library shows as almost anything
        cause = one_line(error)
        raise ToolMissing(f"'{module}' fails to import: {cause}", hint=f"repair it: {install}") from None
    if not hasattr(found, attribute):
        raise ToolMissing(f"'{module}' is not installed", hint=install)
    return found


def tensorflow() -> Any:
    """TensorFlow, quiet below errors.

    Raises:
        ToolMissing: it is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    # TensorFlow's C++ part announces its processor features before its log level is in force.
    with deaf(2):
        tf = framework("tensorflow", extra="tensorflow", attribute="saved_model")
    tf.get_logger().setLevel("ERROR")
    return tf


def torch() -> Any:
    """PyTorch.

    Raises:
        ToolMissing: it is not installed.
    """
    return framework("torch", extra="pytorch", attribute="nn")


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Exporters' chatter, warnings and log lines are kept from the user; what matters comes as an exception."""
    level = logging.root.manager.disable
    with warnings.catch_warnings(), _muted():
        warnings.simplefilter("ignore")
        logging.disable(logging.CRITICAL)
        try:
            yield
        finally:
            logging.disable(level)


def one_line(error: BaseException) -> str:
    """An exception's message as one line without colours and graph addresses, shortened."""
    text = " ".join(_NOISE.sub(" ", str(error)).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} ..."


@contextlib.contextmanager
def _muted() -> Iterator[None]:
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


@contextlib.contextmanager
def deaf(descriptor: int) -> Iterator[None]:
    """What C++ code writes to a file descriptor (1 or 2) of this process is lost; for its chatter, and briefly."""
    kept = os.dup(descriptor)
    try:
        with Path(os.devnull).open("wb") as nowhere:
            os.dup2(nowhere.fileno(), descriptor)
        yield
    finally:
        os.dup2(kept, descriptor)
        os.close(kept)
