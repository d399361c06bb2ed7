"""The promises, each written once with a size: `make test` runs them small, `make soak` full, with the same table.

promises.py lists them. What makes the traffic and starts the real gunicorn and nginx lies in tests/harness.
"""
