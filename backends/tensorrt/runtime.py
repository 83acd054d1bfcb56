"""Opens engines with the runtime that wrote them: TensorRT, or TensorRT for RTX, whose Python APIs are the same.

Both say on their log why they cannot do a thing, and return nothing: what they logged becomes the error's message.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from backends.common.errors import LoadError, one_line
from backends.tensorrt.header import RTX, Header

_ONNX = "model.onnx"
_RECORD = "engine.json"
_PACKAGES = {RTX: "tensorrt-rtx", "tensorrt": "tensorrt"}


class Runtime:
    """One runtime's library.

    Args:
        name: of the package, "tensorrt" or "tensorrt_rtx".
        load: imports it.

    Raises:
        LoadError: it is not installed, or broken; says what to install.
    """

    def __init__(self, name: str, load: Callable[[str], Any] = importlib.import_module) -> None:
        install = f"`pip install {_PACKAGES[name]}` into the environment that Triton runs with"
        try:
            self.library = load(name)
        except ModuleNotFoundError as error:
            lacks = "is not installed, which runs this engine" if error.name == name else f"lacks '{error.name}'"
            raise LoadError(f"'{name}' {lacks}; {install}") from None
        except Exception as error:  # a broken shared library shows as almost anything
            raise LoadError(f"'{name}' is installed, but fails to import ({one_line(error)}); {install}") from None
        if not hasattr(self.library, "Runtime"):  # a folder of that name
            raise LoadError(f"'{name}' is not installed, which runs this engine; {install}")
        self._logger = _logger(self.library)
        self._runtime = self.library.Runtime(self._logger)

    @property
    def version(self) -> str:
        """Of the library."""
        return str(self.library.__version__)

    def open(self, path: Path, header: Header) -> Any:
        """The engine in a file, as the library's `ICudaEngine`, with all its weights.

        Raises:
            LoadError: it is from another version or damaged, or memory is short; with the runtime's own words.
        """
        self._logger.said.clear()
        engine = self._runtime.deserialize_cuda_engine(path.read_bytes())
        if engine is None:
            raise LoadError(f"'{path.name}' cannot be opened: {self._why(header)}")
        self._refit(engine, path)
        return engine

    def words(self) -> str:
        """What the library has said of errors since this was asked last, on one line."""
        said, self._logger.said[:] = "; ".join(dict.fromkeys(self._logger.said)), []
        return one_line(said) if said else "it does not say why"

    def _why(self, header: Header) -> str:
        here = self.version
        built = ".".join(map(str, header.version))
        if built and not here.startswith(".".join(map(str, header.version[:3]))):
            return (
                f"it was built by {header}, and here is {here}, which refuses it ({self.words()}); build it again with "
                f"`triton-convert`, or install version {built}"
            )
        return f"{self.words()}; copy it again, or build it again with `triton-convert`"

    def _refit(self, engine: Any, path: Path) -> None:
        """Put the weights into an engine that was built without them, from the ONNX beside it."""
        onnx = path.with_name(_ONNX)
        if not engine.refittable or not (onnx.is_file() or _is_stripped(path)):
            return
        if not onnx.is_file():
            raise LoadError(
                f"'{path.name}' was built without weights, and '{_ONNX}', which has them, does not lie beside it; copy "
                "it there, or build the engine with them"
            )
        refitter = self.library.Refitter(engine, self._logger)
        parser = self.library.OnnxParserRefitter(refitter, self._logger)
        if not parser.refit_from_file(str(onnx)) or not refitter.refit_cuda_engine():
            raise LoadError(
                f"the weights of '{_ONNX}' do not fit '{path.name}': {self.words()}; publish both from one build"
            )


def _is_stripped(path: Path) -> bool:
    """Whether the record beside an engine says that its weights were left out."""
    try:
        files = json.loads(path.with_name(_RECORD).read_bytes())["files"]
        return any(each["file"] == path.name and each["options"].get("strip_weights") for each in files)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False  # no record


def _logger(library: Any) -> Any:
    """The library's logger that keeps errors; its base class exists only once the library is there."""

    class Logger(library.ILogger):  # type: ignore[misc]  # known only now
        def __init__(self) -> None:
            library.ILogger.__init__(self)
            self.said: list[str] = []

        def log(self, severity: Any, message: str) -> None:
            if severity in (library.ILogger.INTERNAL_ERROR, library.ILogger.ERROR):
                self.said.append(_plain(message))

    return Logger()


def _plain(message: str) -> str:
    """Without the function's name in front, which tells users nothing."""
    _, found, detail = message.partition("Error Code ")
    return f"error {detail}" if found else message
