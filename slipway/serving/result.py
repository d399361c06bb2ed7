"""Texts about the result of a start or a reload, for the log and for the command that asked for it."""

STANDS = "stands at"  # followed by the line, when a start or a check hangs
CHANGED_PACKAGES = "packages have changed, and a restart (`make deploy`) brings them, not a reload"


def summary(replaced: int, unclean: list[str]) -> str:
    """Return how many workers were replaced, and why some did not end cleanly."""
    text = f"{replaced} worker{'' if replaced == 1 else 's'} replaced"
    return f"{text}, {len(unclean)} did not end cleanly: {'; '.join(sorted(set(unclean)))}" if unclean else text
