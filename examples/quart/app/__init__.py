"""A Quart app."""
