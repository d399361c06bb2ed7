"""An app of ASGI 2, a double callable."""
