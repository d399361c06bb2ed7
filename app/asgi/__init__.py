"""A toolkit for raw ASGI, on the standard library and orjson; each module covers one subject."""
