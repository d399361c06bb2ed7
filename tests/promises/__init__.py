"""Faults on purpose, at full size: `python -m soak` proves what is promised about running. tests/live has short forms.

client.py and load.py make the traffic, stack.py starts the real gunicorn and nginx; both are used by the tests, too.
"""
