from pathlib import Path

import pytest

from tests.gateway.control.traffic.rig import Rig


@pytest.fixture
def rig(tmp_path: Path) -> Rig:
    return Rig(tmp_path)
