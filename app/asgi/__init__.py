"""The raw ASGI toolkit: the standard library and orjson, each module one idea."""
