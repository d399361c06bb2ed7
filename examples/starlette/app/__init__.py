"""A Starlette app."""
