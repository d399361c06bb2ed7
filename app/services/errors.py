"""The exceptions of the services."""


class Unavailable(Exception):
    """A dependency is away, locked or full; the same call may work in a moment."""


class Full(Unavailable):
    """The store takes no more data, but can be read."""


class NameTaken(Exception):
    """The name belongs to another user."""


class BadCursor(ValueError):
    """The text is not an id of the bus."""


class SlowReader(Exception):
    """The connection lags behind by more than its queue holds."""
