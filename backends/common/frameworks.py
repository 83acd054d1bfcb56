"""Import a framework when a model needs it, or say how to install it."""

import importlib
from typing import Any

from backends.common.errors import LoadError, one_line


def import_framework(module: str, *, extra: str, attribute: str) -> Any:
    """The framework's module; `attribute` is a name that only the real one has.

    A folder of the same name on `sys.path` imports as an empty namespace package, so the name alone proves nothing.

    Raises:
        LoadError: the framework is missing or broken; says which extra to install.
    """
    install = f"pip install 'triton-gateway[{extra}]' into the environment that Triton runs with"
    try:
        framework = importlib.import_module(module)
    except ModuleNotFoundError as error:
        if error.name == module:
            raise LoadError(f"'{module}' is not installed; install the extra: {install}") from None
        raise LoadError(f"'{module}' is installed, but needs '{error.name}'; repair it: {install}") from None
    except Exception as error:  # a broken shared library shows as almost anything
        raise LoadError(
            f"'{module}' is installed, but fails to import ({one_line(error)}); repair it: {install}"
        ) from None
    if not hasattr(framework, attribute):
        raise LoadError(f"'{module}' is not installed; install the extra: {install}")
    return framework
