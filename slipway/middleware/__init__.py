"""What guards and counts the requests of any ASGI app: request id, access record, counts, limits.

The worker puts it around the app that it serves. Plain ASGI on the standard library and orjson; it knows
neither the app nor gunicorn and uvicorn. An app finds in `scope["state"]`

* `request_id`: the id of the request, a str; Starlette and FastAPI have it as `request.state.request_id`,
* `exchange`: the Exchange, which tells whether the response has started,
* `counts`: the worker's Counts; in the lifespan's scope, too.
"""
