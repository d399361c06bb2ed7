"""Modules that nginx may have beside it, and what each is good for; in the image container.sh looks for them.

Debian has them as packages (libnginx-mod-http-headers-more-filter, -brotli-static), nginx's own image has not.
"""

from collections.abc import Sequence
from pathlib import Path

LOADED = "modules.conf"
FEATURES = "features.conf"
MODULES = {
    "ngx_http_headers_more_filter_module.so": "more_clear_headers Server;",  # nginx alone can't leave it out
    "ngx_http_brotli_static_module.so": "brotli_static on;",
    "ngx_http_zstd_static_module.so": "zstd_static on;",
}
NOT_UNNAMED = "map '' $unnamed { default ''; }"  # headers.conf asks for it; only the image has a script module for it


def found(folder: Path) -> list[str]:
    """The names of those that are there."""
    return [name for name in MODULES if (folder / name).is_file()]


def loaded(folder: Path, names: Sequence[str]) -> str:
    """The directives for the beginning of the configuration."""
    return "".join(f'load_module "{folder / name}";\n' for name in names)


def features(names: Sequence[str]) -> str:
    """The directives for the `http` block."""
    return "".join(f"{line}\n" for line in [*(MODULES[name] for name in names), NOT_UNNAMED])
