"""Where nginx finds the slots: links, `slot-0.sock` and so on, that lead to the sockets of the instance in service.

So a new container takes over from the old one without a word to nginx: a reload of nginx would cut idle connections,
and with them a request that is just on its way. An instance that is ready turns the links to itself, but not while they
lead to another one that runs: then the operator says when, since it may be ready and yet not healthy.
"""

import fcntl
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from slipway.serving.settings import ServerSettings


def runs(settings: ServerSettings) -> bool:
    """Whether an arbiter holds the instance's lock; its files say little after a SIGKILL."""
    try:
        with (settings.run_dir / f"{settings.instance}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def another_serves(settings: ServerSettings) -> bool:
    """Whether nginx's links lead to another instance that runs."""
    link = _link(settings, 0)
    instance = link.readlink().name.removesuffix("-0.sock") if link.is_symlink() else settings.instance
    return instance != settings.instance and runs(replace(settings, instance=instance))


def publish(settings: ServerSettings) -> None:
    """Put the instance into service: turn the links to its sockets, each in one step.

    Links beyond its slots, which a predecessor with more workers has left, are turned too: nginx uses them until it has
    taken the new `slots.conf` up.
    """
    if not settings.has_slots:
        return
    for link, target in _turned(settings).items():
        new = link.with_name(f"{settings.instance}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)
    write_whole(_servers(settings), _lines(settings))


def withdraw(settings: ServerSettings) -> None:
    """Remove the links that lead to this instance, and the list of slots if it is its own.

    What another instance has turned to itself stays, its list included.
    """
    names = [Path(path).name for path in settings.socket_paths()]
    serves = _leads_to(_link(settings, 0), names[0]) if names else settings.slot_port > 0
    for link in _links(settings).values():
        if link.readlink().name in names:
            link.unlink(missing_ok=True)
    if serves:
        _servers(settings).unlink(missing_ok=True)


def are_ours(settings: ServerSettings) -> bool:
    """Whether nginx finds every slot of this instance; with ports it has no links that could lead elsewhere."""
    if not settings.has_slots:
        return True
    if not all(_leads_to(link, target) for link, target in _turned(settings).items()):
        return False
    return _servers(settings).exists() and _servers(settings).read_text() == _lines(settings)


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


def _lines(settings: ServerSettings) -> str:
    addresses = settings.addresses()
    if settings.socket_dir is not None:
        addresses = [_quoted(f"unix:{_link(settings, number)}") for number in range(settings.workers)]
    # max_fails=0: a slot whose worker is being replaced only queues; marked as failed, 84 % of requests got 502.
    return "".join(f"server {address} max_fails=0;\n" for address in addresses)


def _quoted(address: str) -> str:
    """As nginx reads a string: a path may have spaces, quotes and what else ends a word there."""
    escaped = address.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _servers(settings: ServerSettings) -> Path:
    return settings.run_dir / "slots.conf"


def _link(settings: ServerSettings, number: int) -> Path:
    return settings.run_dir / f"slot-{number}.sock"


def _links(settings: ServerSettings) -> dict[int, Path]:
    """All that are there, by number."""
    links = (link for link in settings.run_dir.glob("slot-*.sock") if link.is_symlink())
    return {int(link.stem.removeprefix("slot-")): link for link in links if link.stem[5:].isdecimal()}


def _turned(settings: ServerSettings) -> dict[Path, str]:
    """Where each link leads while this instance serves; those beyond its slots lead to them in turn."""
    names = [Path(path).name for path in settings.socket_paths()]
    if not names:
        return {}
    surplus = {link: names[number % len(names)] for number, link in _links(settings).items()}
    return {**surplus, **{_link(settings, number): name for number, name in enumerate(names)}}


def _leads_to(link: Path, name: str) -> bool:
    return link.is_symlink() and link.readlink().name == name
