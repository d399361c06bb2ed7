"""A raw ASGI app: replace it with your own and keep the rest."""

__version__ = "0.1.0"
