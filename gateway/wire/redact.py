"""Triton's words about an error without the inside of the house: paths, addresses, shared memory, processes.

What helps the caller stays: names of models and tensors, shapes, and the name of a file. Every pattern begins where
the character before it says that it can, and takes whole runs of characters, so the time is linear in the text.
"""

from __future__ import annotations

import re

_HIDDEN = "..."

# In JSON, a line break is the two characters `\n`: a word may begin behind it, and never with its second one.
_ESCAPED = r"(?<=\\[nrt])"
_WORD = rf"(?:(?<![\w.\\-])|{_ESCAPED})"
_PATH = re.compile(rf"(?:(?<![\w./~-])|{_ESCAPED})" + r"""~?/(?![/\s]|v2(?![\w.-]))[^\s'"`\\,;:()<>\[\]{}|*?]+""")
_TENSOR = re.compile(r"""(?:put|tensor|node|Name)s?:? ?(?:name:? ?)?\\?['"`]$""")  # ONNX names begin with a slash too
_NO_FILE = re.compile(r"~?/(?:dev/shm|proc|run)(?:/|$)|.*\.sock$")
_LOCATION = re.compile(_WORD + r"""(?!https?:)[A-Za-z][\w+.-]*://[^\s'"`\\,;()<>\[\]{}|]*""")
_PATTERNS = (
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?::\d{1,5})?(?![\w.]*\w)",  # IPv4
    r"\[(?=[0-9A-Fa-f]*:[0-9A-Fa-f]*:)[0-9A-Fa-f:.]{2,45}(?:%\w{1,16})?\](?::\d{1,5})?",  # IPv6, as in a URL
    r"(?<![\w:.\\])(?=[0-9A-Fa-f:]{0,45}::)[0-9A-Fa-f:]{3,45}(?![\w:])",  # IPv6
    _WORD + r"localhost(?::\d{1,5})?(?![\w-])",
    _WORD + r"[A-Za-z][\w-]*(?:\.[\w-]+)*\.(?!(?:cc|cpp|cu|h|hpp|py|rs|c):)[\w-]+:\d{4,5}(?!\w)",  # a host with a dot
    r"(?:(?<=//)|(?<=to )|(?<=at )|(?<=host )|(?<=dns:))[A-Za-z][\w.-]{0,252}:\d{2,5}(?!\w)",  # and one without
    _WORD + r"(?=\w*shm_region)\w+",
    r"(?<!\w)0x[0-9A-Fa-f]{6,16}(?!\w)",  # in memory
)
_HIDE = tuple([re.compile(pattern) for pattern in _PATTERNS])
_PROCESS = re.compile(_WORD + r"(pid|PID|process id|process ID)([ :=]{1,3})\d+")
_KEY = re.compile(r"""((?i:shared[ _-]?memory key)[ :=]{0,3}\\?['"]?)[^\s'"\\,;]+""")


def redact(text: str) -> str:
    """`text` with what is internal replaced by `...`; JSON stays JSON.

    Args:
        text: an error message of Triton's, or the JSON body that holds it.
    """
    text = _LOCATION.sub(_HIDDEN, text)
    text = _PATH.sub(_shortened, text)
    for pattern in _HIDE:
        text = pattern.sub(_HIDDEN, text)
    text = _PROCESS.sub(rf"\1\2{_HIDDEN}", text)
    return _KEY.sub(rf"\1{_HIDDEN}", text)


def _shortened(found: re.Match[str]) -> str:
    """A file's own name says which of the client's files is meant; its folders say where Triton keeps them."""
    path = found[0]
    if _TENSOR.search(found.string, max(0, found.start() - 24), found.start()):
        return path
    folder, _, name = path.rpartition("/")
    stem, dot, suffix = name.rstrip(".").rpartition(".")
    if not folder or not (stem and dot and suffix.isalnum()) or _NO_FILE.match(path):
        return _HIDDEN
    return f"{_HIDDEN}/{name}"
