"""What nginx serves by itself: static files, private files that the app points to, and security.txt.

They become locations in a file of their own, which each `server` includes; nginx/static.conf.template has what static
files share.
"""

import datetime
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from slipway.environment import Environment, SettingError
from slipway.project import IN_DATA_DIR

LOCATIONS = "site.conf"
STATIC = "static"  # folders below the first root
PRIVATE = "private"  # folders below the second root
CONTACT = re.compile(r"(mailto:|https://|tel:)[!#%&(-:=?-Z_a-z~]+")
EXPIRES_DAYS = 330  # RFC 9116 section 2.5.5: less than a year


@dataclass(frozen=True, slots=True)
class SiteSettings:
    """Folders by the prefix of their URLs, relative to their roots, and whom to tell about a hole."""

    static: tuple[tuple[str, str], ...] = ()
    private: tuple[tuple[str, str], ...] = ()
    contacts: tuple[str, ...] = ()

    def configuration(self, *, folder: str, static: str, private: str, challenges: str, today: datetime.date) -> str:
        """The locations. `folder` has the filled-in files, the others are roots: strings of nginx in double quotes."""
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
        """By plain HTTP, whatever is redirected (RFC 8555 section 8.3); an app may answer its own."""
        yield "location ^~ /.well-known/acme-challenge/ {"
        yield f'    root "{root}";'
        yield "    default_type text/plain;"
        yield "    try_files $uri @app;"
        yield "}"

    def _contact(self, today: datetime.date) -> Iterator[str]:
        """The date changes once a month, so that nginx has something new to read no more often."""
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
    """The same folders with the prefixes that clients ask for below ROOT_PATH."""
    return tuple((root_path + prefix, path) for prefix, path in folders)


def contacts(env: Environment) -> tuple[str, ...]:
    """SECURITY_CONTACT: addresses, separated by commas."""
    found = tuple(filter(None, (word.strip() for word in env.text("SECURITY_CONTACT").split(","))))
    for contact in found:
        if not CONTACT.fullmatch(contact):
            allowed = "mailto:, https:// or tel: addresses, separated by commas"
            raise SettingError("SECURITY_CONTACT", contact, allowed)
    return found
