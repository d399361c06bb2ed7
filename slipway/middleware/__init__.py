"""Middleware for any ASGI app: request ids, access records, counts and limits.

The worker puts it around the app that it serves. It is plain ASGI on the standard library and orjson, independent of
the app, gunicorn and uvicorn. An app finds in `scope["state"]`

* `request_id`: the id of the request, a str; Starlette and FastAPI have it as `request.state.request_id`,
* `exchange`: the Exchange, whose `status` is 0 until the response has started,
* `counts`: the worker's Counts; in the lifespan's scope, too.
"""
