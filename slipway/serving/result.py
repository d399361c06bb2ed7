"""What is said of a start or a reload, in the log and by the command that has asked for it."""

STANDS = "stands at"  # which line, when a start or a check hangs
CHANGED_PACKAGES = "packages have changed, and a restart (`make deploy`) brings them, not a reload"


def summary(replaced: int, unclean: list[str]) -> str:
    """How many workers were replaced, and which did not end cleanly."""
    text = f"{replaced} worker{'' if replaced == 1 else 's'} replaced"
    return f"{text}, {len(unclean)} did not end cleanly: {'; '.join(sorted(set(unclean)))}" if unclean else text
