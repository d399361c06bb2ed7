"""A traceback in one line: the error, and its file and line in the project's own code."""

import os
import re
import sysconfig
from pathlib import Path

FRAME = re.compile(r'^\s*File "(?P<file>[^"]+)", line (?P<line>\d+)', re.MULTILINE)
ERROR = re.compile(r"^(?P<error>[A-Za-z_][\w.]*(?:: .*)?)$", re.MULTILINE)
OURS = f"{Path(__file__).parent}{os.sep}"  # between the server and the app in a stack
LIBRARIES = (
    OURS,
    *{
        f"{Path(path)}{os.sep}"
        for name, path in sysconfig.get_paths().items()
        if name in ("stdlib", "purelib", "platlib", "scripts")
    },
)


def one_line(text: str, root: Path | None = None) -> str:
    """Return `Error: message (file, line n)`, or the last line of a text without a traceback.

    Frames of libraries are skipped unless there are no others. Paths below `root` are shown relative to it.
    """
    lines = [line for line in text.strip().splitlines() if line.strip()]
    if not lines:
        return ""
    frames = [(match["file"], match["line"]) for match in FRAME.finditer(text)]
    if not frames:
        return lines[-1].strip()
    errors = ERROR.findall(text[text.rindex('File "') :])
    own = [frame for frame in frames if not is_library(frame[0])] or frames
    file, line = own[-1]
    return f"{errors[-1] if errors else lines[-1].strip()} ({shown(file, root)}, line {line})"


def innermost(text: str, root: Path | None = None) -> str:
    """Return the first place outside libraries in faulthandler's output, most recent call first; empty if none."""
    frames = ((match["file"], match["line"]) for match in FRAME.finditer(text))
    return next((f"{shown(file, root)}, line {line}" for file, line in frames if not is_library(file)), "")


def has_traceback(text: str) -> bool:
    """Whether a text has a file and a line in the form of a traceback."""
    return FRAME.search(text) is not None


def brief(text: str, root: Path | None = None) -> str:
    """Return `one_line` of a text with a traceback; any other text as a whole, in one line."""
    return one_line(text, root) if has_traceback(text) else " ".join(text.split())


def is_library(file: str) -> bool:
    """Whether a file is not part of the project's own code."""
    return file.startswith(("<", *LIBRARIES)) or f"{os.sep}site-packages{os.sep}" in file


def shown(file: str, root: Path | None) -> str:
    """Return a file's path for a message: relative to `root` if it is below."""
    path = Path(file)
    return str(path.relative_to(root)) if root is not None and path.is_relative_to(root) else file
