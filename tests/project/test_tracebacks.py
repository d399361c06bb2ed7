"""A traceback summarized in one line."""

import traceback
from pathlib import Path

import pytest

from slipway.tracebacks import one_line

MISSING = "import no_such_module\n"
BROKEN = "def broken(:\n    pass\n"
RAISES = "\n\ndef f():\n    raise ValueError('on purpose')\n\nf()\n"
INSIDE = "import json\n\njson.loads('{')\n"
CHAINED = "try:\n    1 / 0\nexcept ZeroDivisionError as error:\n    raise RuntimeError('after that') from error\n"


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (MISSING, "ModuleNotFoundError: No module named 'no_such_module' (yours.py, line 1)"),
        (BROKEN, "SyntaxError: invalid syntax (yours.py, line 1)"),
        (RAISES, "ValueError: on purpose (yours.py, line 4)"),
        (INSIDE, "JSONDecodeError: Expecting property name enclosed in double quotes"),
        (CHAINED, "RuntimeError: after that (yours.py, line 4)"),
    ],
)
def test_error_and_place(tmp_path: Path, source: str, said: str) -> None:
    """The line has the error and the last line of the reader's own code in the traceback."""
    path = tmp_path / "yours.py"
    path.write_text(source)
    try:
        exec(compile(source, str(path), "exec"), {})
    except Exception:
        text = traceback.format_exc().replace(f'File "{__file__}"', 'File "<frozen importlib>"')

    assert said in one_line(text, tmp_path)
    assert "yours.py, line" in one_line(text, tmp_path)


@pytest.mark.parametrize(("text", "line"), [("", ""), ("\n", ""), ("first\nlast\n", "last")])
def test_no_traceback(text: str, line: str) -> None:
    """A text without a traceback gives its last line."""
    assert one_line(text) == line


def test_libraries_alone() -> None:
    """If no frame is the reader's own, the last one is shown."""
    text = 'Traceback (most recent call last):\n  File "<frozen runpy>", line 198, in run\nImportError: gone\n'

    assert one_line(text) == "ImportError: gone (<frozen runpy>, line 198)"
