import errno
import os

import pytest

from converters.errors import BadData, ConversionError, OutOfResources, Place
from converters.placed import placed


def test_an_error_is_told_with_the_step_that_was_asked_for_and_keeps_its_node() -> None:
    with pytest.raises(BadData) as caught, placed("", ""), placed("pitch", "int8"):
        raise BadData("it is empty", hint="fill it").at(model="m.onnx", step="calibrate", node="Conv_1")
    assert caught.value.place == Place("pitch", "int8", "Conv_1")


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_want_of_resources(number: int) -> None:
    told = "pitch, int8: the disk is full: '/x/y' cannot be written; free"
    with pytest.raises(OutOfResources, match=told), placed("pitch", "int8"):
        raise OSError(number, os.strerror(number), "/x/y")


def test_want_of_memory_is_want_of_resources() -> None:
    with pytest.raises(OutOfResources, match="pitch, int8: the machine has no memory left"), placed("pitch", "int8"):
        raise MemoryError


def test_other_errors_of_the_system_name_the_file() -> None:
    told = "pitch, read: '/x' cannot be used: Permission denied; check"
    with pytest.raises(ConversionError, match=told), placed("pitch", "read"):
        raise PermissionError(errno.EACCES, "Permission denied", "/x")


def test_a_reader_that_has_seen_enough_is_no_error_of_ours() -> None:
    with pytest.raises(BrokenPipeError), placed("pitch", "read"):
        raise BrokenPipeError
