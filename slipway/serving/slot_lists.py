"""The two lists of a server's slots that nginx includes (nginx/nginx.conf.template), each replaced whole."""

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

# A slot whose worker is being replaced queues clients. With such slots marked as failed, 84 % of requests got 502.
SLOTS = "slots.conf", "max_fails=0"
# For retries of a request that met a slot without a listener: such a slot is left out for a second, so that the next
# attempt meets another. With round robin alone, one request of 4,000 met such slots in all of its eight attempts.
LISTENING = "listening.conf", "max_fails=1 fail_timeout=1s"


def write(folder: Path, addresses: Sequence[str]) -> None:
    """Write the lists for these slots, which are paths after `unix:`, or addresses with a port."""
    for name, text in _texts(addresses).items():
        write_whole(folder / name, text)


def remove(folder: Path) -> None:
    """Remove the lists."""
    for path in paths(folder):
        path.unlink(missing_ok=True)


def paths(folder: Path) -> list[Path]:
    """Return the paths of the lists."""
    return [folder / name for name, _ in (LISTENING, SLOTS)]


def are_written(folder: Path, addresses: Sequence[str]) -> bool:
    """Whether the lists have exactly these slots."""
    texts = _texts(addresses)
    return all((folder / name).exists() and (folder / name).read_text() == text for name, text in texts.items())


def _texts(addresses: Sequence[str]) -> dict[str, str]:
    """Return the lists by file name. The list that nginx watches comes last."""
    return {
        name: "".join(f"server {_quoted(address)} {parameters};\n" for address in addresses)
        for name, parameters in (LISTENING, SLOTS)
    }


def _quoted(address: str) -> str:
    """Return an address as an nginx string: a path may have spaces, quotes and other characters that end a word."""
    escaped = address.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def write_whole(path: Path, text: str) -> None:
    """Replace a file in one step, or leave it as it was."""
    new = path.with_name(path.name + ".new")
    try:
        new.write_text(text)
        new.replace(path)
    except OSError:
        with suppress(OSError):
            new.unlink()
        raise
