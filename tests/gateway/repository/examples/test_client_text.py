"""What the text becomes is tested with `client.py`."""

import ast

from gateway.repository.examples.client import python_client
from gateway.repository.examples.client_text import MODULE
from tests.gateway.repository.examples.models import IRIS


def test_every_place_is_filled() -> None:
    assert MODULE.is_valid()
    assert "$" not in python_client(IRIS)


def test_it_imports_nothing_of_the_gateway() -> None:
    tree = ast.parse(python_client(IRIS))
    imported = [node.module for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]
    imported += [name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names]
    assert set(imported) == {
        "__future__", "dataclasses", "importlib", "numpy", "numpy.typing", "types", "typing"
    }  # fmt: skip
