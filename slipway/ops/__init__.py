"""Start, stop, reload and inspect the stack, in both runtimes. The verbs of `make` are one line each and call these.

This module refuses an older Python before it reads modules that it can't parse; so every Python must parse this one.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (pyproject.toml names 3.11, but nothing has been installed by it yet)
    version = sys.version.split()[0]
    sys.exit("slipway: Python 3.11 or newer is needed, this is %s; name one by PYTHON=python3.13 or the like" % version)  # noqa: UP031
