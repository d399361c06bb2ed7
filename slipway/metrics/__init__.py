"""The server's metrics, whatever the app: counted by the workers in memory, read and summed by the arbiter.

Independent of gunicorn and uvicorn.
"""
