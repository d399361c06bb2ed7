"""The promises, each written once with its sizes: `make test` runs them small, `make soak` full, in the same table.

promises.py lists them. The code that makes traffic and starts the real gunicorn and nginx is in tests/harness.
"""
