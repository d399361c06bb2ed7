"""The promises at full size: `python -m tests.promises`. tests/live has short forms.

client.py and load.py make the traffic, stack.py starts the real gunicorn and nginx; both are used by the tests, too.
"""
