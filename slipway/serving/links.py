"""The links at which nginx finds the slots: `slot-0.sock` and so on point to the sockets of the instance in service.

So a new container takes over from the old one without a reload of nginx, which would cut idle connections and with
them a request on its way. A ready instance points the links at itself, but not while they lead to another running
instance: then the operator decides when, since a ready instance may still not be healthy.
"""

import fcntl
import time
from dataclasses import replace
from pathlib import Path

from slipway.serving import slot_lists
from slipway.serving.settings import ServerSettings
from slipway.serving.static import hand_out

COARSE_NANOSECONDS = 1_000_000_000  # changes within this time may have the same mtime


def runs(settings: ServerSettings) -> bool:
    """Whether an arbiter holds the instance's lock; its other files outlive a SIGKILL."""
    try:
        with (settings.run_dir / f"{settings.instance}.lock").open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def another_serves(settings: ServerSettings) -> bool:
    """Whether nginx's links lead to another running instance."""
    link = _link(settings, 0)
    instance = link.readlink().name.removesuffix("-0.sock") if link.is_symlink() else settings.instance
    return instance != settings.instance and runs(replace(settings, instance=instance))


def publish(settings: ServerSettings) -> None:
    """Put the instance into service: point the links at its sockets, each in one step.

    Links beyond its slots, left by a predecessor with more workers, are pointed at them, too: nginx uses these links
    until it has loaded the new `slots.conf`.
    """
    if not settings.has_slots:
        return
    if settings.static_dir is not None:
        hand_out(settings.static, settings.static_dir)
    for link, target in _turned(settings).items():
        new = link.with_name(f"{settings.instance}.new")
        new.unlink(missing_ok=True)
        new.symlink_to(target)
        new.replace(link)
    slot_lists.write(settings.run_dir, _addresses(settings))


def withdraw(settings: ServerSettings) -> None:
    """Remove the links that lead to this instance, and the lists of slots if they are its own.

    Links and lists of another instance stay.
    """
    names = [Path(path).name for path in settings.socket_paths()]
    serves = _leads_to(_link(settings, 0), names[0]) if names else settings.slot_port > 0
    for link in _links(settings).values():
        if link.readlink().name in names:
            link.unlink(missing_ok=True)
    if serves:
        slot_lists.remove(settings.run_dir)


def are_ours(settings: ServerSettings) -> bool:
    """Whether links and lists lead nginx to every slot of this instance; with ports there are lists only."""
    if not settings.has_slots:
        return True
    if not all(_leads_to(link, target) for link, target in _turned(settings).items()):
        return False
    return slot_lists.are_written(settings.run_dir, _addresses(settings))


def changes(settings: ServerSettings) -> tuple[int, ...]:
    """Return the times of the last changes that concern nginx: those of the folder, with its links, and of the lists.

    In nanoseconds; empty if a file is missing, or so new that a later change could have the same time.
    """
    folder = settings.run_dir
    try:
        times = tuple(path.stat().st_mtime_ns for path in (folder, *slot_lists.paths(folder)))
    except OSError:
        return ()
    return times if max(times) < time.time_ns() - COARSE_NANOSECONDS else ()


def _addresses(settings: ServerSettings) -> list[str]:
    """Return the addresses for nginx: the links, or the ports."""
    if settings.socket_dir is None:
        return settings.addresses()
    return [f"unix:{_link(settings, number)}" for number in range(settings.workers)]


def _link(settings: ServerSettings, number: int) -> Path:
    return settings.run_dir / f"slot-{number}.sock"


def _links(settings: ServerSettings) -> dict[int, Path]:
    """Return all existing links, by number."""
    links = (link for link in settings.run_dir.glob("slot-*.sock") if link.is_symlink())
    return {int(link.stem.removeprefix("slot-")): link for link in links if link.stem[5:].isdecimal()}


def _turned(settings: ServerSettings) -> dict[Path, str]:
    """Return each link's target while this instance serves; links beyond its slots share the slots in turn."""
    names = [Path(path).name for path in settings.socket_paths()]
    if not names:
        return {}
    surplus = {link: names[number % len(names)] for number, link in _links(settings).items()}
    return {**surplus, **{_link(settings, number): name for number, name in enumerate(names)}}


def _leads_to(link: Path, name: str) -> bool:
    return link.is_symlink() and link.readlink().name == name
