"""`python -m slipway.ops VERB`; `make help` lists the verbs."""

import sys

if sys.version_info < (3, 11):  # noqa: UP036 (said before anything is imported that an older Python can't parse)
    version = sys.version.split()[0]
    sys.exit(f"slipway: Python 3.11 or newer is needed, this is {version}; name one by PYTHON=python3.13 or the like")

if __name__ == "__main__":
    from slipway.ops import verbs

    verbs.main()
