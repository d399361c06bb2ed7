"""`.env` files in docker compose's grammar, so that one file means the same in both runtimes.

https://docs.docker.com/compose/how-tos/environment-variables/variable-interpolation/#env-file-syntax
Standard library only, since nothing is installed yet; a container test compares it with `docker compose config`.
"""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NoReturn

from slipway.environment import SettingError

BLANK = "\t\v\f\r \x85\xa0"
KEY = re.compile(r"(?:export[\t\v\f\r ]+)?([\w.\-\[\]\t\v\f\r \x85\xa0]*)([=:\n]|$)")
ESCAPE = re.compile(r"""\\(?:([abfnrtv$"\\])|0(\d{1,3}))""")
ESCAPES = {"a": "\a", "b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v", '"': '"', "\\": "\\"}
REFERENCE = re.compile(r"\$(?:(\$)|([A-Za-z_]\w*)|\{([A-Za-z_]\w*)(?:(:?[-+?])(.*))?\}|(\{))", re.ASCII | re.DOTALL)


def read(path: Path, environment: Mapping[str, str]) -> dict[str, str]:
    """Return the variables of a file, none if it is missing; `${NAME}` refers to `environment`, then to the file.

    Raises SettingError, naming the file and the line, for a file that docker compose rejects too.
    """
    try:
        text = path.read_text("utf-8-sig")
        if "\0" in text:
            raise ValueError("it has a NUL byte")  # not possible in an environment variable
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise SettingError(str(path), "", f"a readable file in UTF-8 ({error})") from None
    return _Reader(path.name, text.replace("\r\n", "\n"), environment).read()


class _Reader:
    """Parses the statements in order; `at` is the position in the text."""

    def __init__(self, name: str, text: str, environment: Mapping[str, str]) -> None:
        self.name = name
        self.text = text
        self.environment = environment
        self.at = 0
        self.statement = 0  # position at which the current one begins
        self.found: dict[str, str] = {}

    def read(self) -> dict[str, str]:
        while self._to_statement():
            key, has_value = self._key()
            if has_value:
                self.found[key] = self._value()
            elif key in self.environment:  # a name without a value takes that of the environment
                self.found[key] = self.environment[key]
        return {key: value for key, value in self.found.items() if not key[:1].isdigit()}

    def _to_statement(self) -> bool:
        """Skip blank lines and comments; return whether anything is left."""
        while self.at < len(self.text):
            if self.text[self.at] == "#":
                self.at = self._end_of_line()
            elif not self.text[self.at].isspace():
                return True
            else:
                self.at += 1
        return False

    def _key(self) -> tuple[str, bool]:
        self.statement = self.at
        match = KEY.match(self.text, self.at)
        key = match[1].strip() if match else ""
        if match is None or not (key and match[2]) or any(space in key for space in BLANK):
            self._refuse("NAME=value, or a comment that begins with #")
        self.at = match.end()
        return key, match[2] in ("=", ":")

    def _value(self) -> str:
        while self.text[self.at : self.at + 1] and self.text[self.at] in BLANK:
            self.at += 1
        quote = self.text[self.at : self.at + 1]
        if quote in ("'", '"') and quote:
            return self._quoted(quote)
        line = self.text[self.at : self._end_of_line()]
        self.at += len(line)
        return self._expand(line.partition(" #")[0].rstrip())

    def _quoted(self, quote: str) -> str:
        """Read a quoted value: single quotes keep all but \\', double quotes expand escapes and references."""
        match = re.compile(rf"{quote}((?:\\.|[^\\{quote}])*){quote}", re.DOTALL).match(self.text, self.at)
        if match is None:
            self._refuse(f"a value whose quote {quote} is closed")
        self.at = match.end()
        text = match[1].replace(f"\\{quote}", quote)
        return text if quote == "'" else self._expand(ESCAPE.sub(_unescape, text))

    def _expand(self, text: str) -> str:
        return "".join(self._parts(text))

    def _parts(self, text: str) -> list[str]:
        parts, at = [], 0
        while match := REFERENCE.search(text, at):
            parts.append(text[at : match.start()])
            end = _closing_brace(text, match.start()) if match[3] else match.end()
            whole = REFERENCE.match(text[match.start() : end]) if match[3] else match
            if whole is None or whole[6]:
                self._refuse("$NAME, ${NAME}, ${NAME:-default}, or $$ for a dollar sign")
            parts.append(self._reference(whole))
            at = match.start() + len(whole[0])
        return [*parts, text[at:]]

    def _reference(self, match: re.Match[str]) -> str:
        if match[1]:
            return "$"
        name, operator, word = match[2] or match[3], match[4] or "", match[5] or ""
        value = self.environment.get(name, self.found.get(name))
        missing = value is None or (operator.startswith(":") and not value)
        if operator.endswith("?") and missing:
            self._refuse(f"a file whose reference ${{{name}}} has a value: {self._expand(word) or 'it is required'}")
        if operator.endswith("+"):
            return "" if missing else self._expand(word)
        if operator.endswith("-") and missing:
            return self._expand(word)
        return value or ""

    def _end_of_line(self) -> int:
        end = self.text.find("\n", self.at)
        return len(self.text) if end < 0 else end

    def _refuse(self, allowed: str) -> NoReturn:
        """Raise SettingError with the name alone: the value may be a password."""
        line = self.text.count("\n", 0, self.statement) + 1
        name, _, _ = self.text[self.statement :].partition("\n")[0].partition("=")
        raise SettingError(f"{self.name} line {line}", name.strip(), allowed)


def _unescape(match: re.Match[str]) -> str:
    if match[1] == "$":
        return "$$"
    return ESCAPES[match[1]] if match[1] else chr(int(match[2], 8))


def _closing_brace(text: str, start: int) -> int:
    """Return the end of the reference that begins at `start`, which may contain nested braces."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "{") - (text[at] == "}")
        if depth == 0 and text[at] == "}":
            return at + 1
    return len(text)
