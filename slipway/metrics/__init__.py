"""The figures of a server that carries any app: counted by its workers in memory, read and added up by the arbiter.

Knows neither gunicorn nor uvicorn.
"""
