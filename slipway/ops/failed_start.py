"""The reason of a failed start, taken from its log, and the next step."""

import json
import re
from collections.abc import Iterable
from pathlib import Path

from slipway.ops.settings import ROOT
from slipway.tracebacks import brief, has_traceback, one_line

SHOWN_LINES = 3
CONSEQUENCES = ("Shutting down: ", "Reason: ")  # gunicorn logs these after any failure


def first_error(lines: Iterable[str], root: Path = ROOT) -> str:
    """Return the first logged traceback, else a printed one, else the first error, else the last lines.

    Files below `root` are shown relative to it.
    """
    errors: list[str] = []
    printed: list[str] = []
    plain: list[str] = []
    for line in lines:
        try:
            record = json.loads(line)
        except ValueError:
            plain.append(line)
            continue
        if isinstance(record, dict) and record.get("exc_info"):
            return one_line(record["exc_info"], root)
        if isinstance(record, dict) and record.get("level") in ("ERROR", "CRITICAL"):
            (printed if record.get("logger") == "stderr" else errors).append(str(record.get("message")))
    text = "\n".join(printed)
    if has_traceback(text):
        return one_line(text, root)
    causes = [brief(error, root) for error in errors if not error.startswith(CONSEQUENCES)]
    return next(iter(causes), "") or _last(printed) or _last(plain) or _last(errors)


def _last(lines: Iterable[str]) -> str:
    return "\n  ".join([line.strip() for line in lines if line.strip()][-SHOWN_LINES:])


def next_step(reason: str, app: str) -> str:
    """Return the advice for a failed start."""
    missing = re.match(r"ModuleNotFoundError: No module named '([^']+)'", reason)
    if missing is None:
        return "Mend it, then type the same again."
    name, module = missing[1], app.partition(":")[0]
    if module == name or module.startswith(f"{name}."):
        return f"There is no {name} in {ROOT} or on PYTHONPATH; `app` in [tool.slipway], or APP, names what is served."
    package = name.partition(".")[0]
    return f"If {package} is a package, add it to pyproject.toml and type `make lock`; then type the same again."
