from dataclasses import FrozenInstanceError, replace

import pytest

from gateway.config import Config
from gateway.core.policy import fold
from gateway.frontends.serving import Current, Serving
from gateway.upstreams.fake import FakeUpstream


def serving() -> Serving:
    config = Config()
    return Serving(fold([], FakeUpstream()), config.http, config.grpc, config.limits, config.admin)


def test_what_is_served_with_is_immutable() -> None:
    with pytest.raises(FrozenInstanceError):
        serving().limits = Config().limits  # type: ignore[misc]


def test_a_request_that_began_keeps_what_it_began_with() -> None:
    current = Current(serving())
    mine = current.serving
    current.serving = replace(mine, admin=Config().admin.model_copy(update={"trace": True}))
    assert not mine.admin.trace
    assert current.serving.admin.trace
