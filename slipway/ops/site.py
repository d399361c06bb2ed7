"""The locations that nginx serves without the app: static files, private files for X-Accel-Redirect, security.txt.

They go to a separate file, which each `server` includes; nginx/static.conf.template has the common part of the static
ones.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slipway.environment import Environment, SettingError
from slipway.project import IN_DATA_DIR

LOCATIONS = "site.conf"
PRIVATE = "private"  # folders below the second root
CONTACT = re.compile(r"(mailto:|https://|tel:)[!#%&(-:=?-Z_a-z~]+")
EXPIRES_DAYS = 330  # RFC 9116 section 2.5.5: less than a year


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Folders by the prefix of their URLs, relative to their roots, and the contacts for security reports."""

    static: tuple[tuple[str, str], ...] = ()
    private: tuple[tuple[str, str], ...] = ()
    contacts: tuple[str, ...] = ()

    def configuration(self, *, folder: str, static: str, private: str, challenges: str, today: datetime.date) -> str:
        """Return the locations. `folder` has the filled-in files, the others are roots; all go into double quotes."""
        lines = [
            *self._static(folder, static, private),
            *self._private(folder, private),
            *self._challenges(challenges),
            *self._contact(today),
        ]
        return "\n".join(["# Written by `make`, from pyproject.toml and the settings.", *lines, ""])

    def _static(self, folder: str, root: str, data: str) -> Iterator[str]:
        for prefix, path in self.static:
            below_data = path.removeprefix(IN_DATA_DIR)
            yield f"location ^~ {prefix} {{"
            yield f'    alias "{root if below_data == path else data}/{below_data}/";'
            yield f'    include "{folder}/static.conf";'
            yield "    try_files $uri @app;"
            yield "}"

    def _private(self, folder: str, root: str) -> Iterator[str]:
        for prefix, path in self.private:
            yield f"location ^~ {prefix} {{"
            yield "    internal;    # by the app's X-Accel-Redirect alone"
            yield f'    alias "{root}/{path}/";'
            yield f'    include "{folder}/private.conf";'
            yield "}"

    def _challenges(self, root: str) -> Iterator[str]:
        """Yield the ACME challenges' location, never redirected (RFC 8555 section 8.3); the app answers others."""
        yield "location ^~ /.well-known/acme-challenge/ {"
        yield f'    root "{root}";'
        yield "    default_type text/plain;"
        yield "    try_files $uri @app;"
        yield "}"

    def _contact(self, today: datetime.date) -> Iterator[str]:
        """Yield the location of security.txt, whose date changes once a month to keep reloads of nginx rare."""
        if not self.contacts:
            return
        expires = (today + datetime.timedelta(days=EXPIRES_DAYS)).replace(day=1)
        text = "".join([*(f"Contact: {contact}\\n" for contact in self.contacts), f"Expires: {expires}T00:00:00Z\\n"])
        yield "location = /.well-known/security.txt {"
        yield "    default_type text/plain;"
        yield "    charset utf-8;"
        yield f'    return 200 "{text}";'
        yield "}"


def below(root_path: str, folders: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    """Return the folders with ROOT_PATH before their prefixes."""
    return tuple((root_path + prefix, path) for prefix, path in folders)


def contacts(env: Environment) -> tuple[str, ...]:
    """Return the addresses in SECURITY_CONTACT, which are separated by commas."""
    found = tuple(filter(None, (word.strip() for word in env.text("SECURITY_CONTACT").split(","))))
    for contact in found:
        if not CONTACT.fullmatch(contact):
            allowed = "mailto:, https:// or tel: addresses, separated by commas"
            raise SettingError("SECURITY_CONTACT", contact, allowed)
    return found
