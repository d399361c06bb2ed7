"""The smallest published ASGI app."""
