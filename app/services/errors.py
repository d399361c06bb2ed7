"""What a service can say instead of an answer."""


class Unavailable(Exception):
    """A dependency is away, locked or full; the same call may work in a moment."""


class Full(Unavailable):
    """The store takes no more; what is in it can be read."""


class NameTaken(Exception):
    """The name belongs to another user."""


class BadCursor(ValueError):
    """The text is not an id that the bus has given."""
