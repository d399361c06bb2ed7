"""The raw ASGI toolkit: standard library only, each module one idea."""
