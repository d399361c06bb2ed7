"""How the stack is started, stopped and reloaded, in both runtimes. `make` verbs are one line each and call these.

An older Python is refused here, before a module is read that it can't parse; this one every Python can.
"""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (pyproject.toml names 3.11, but nothing has been installed by it yet)
    version = sys.version.split()[0]
    sys.exit("slipway: Python 3.11 or newer is needed, this is %s; name one by PYTHON=python3.13 or the like" % version)  # noqa: UP031
