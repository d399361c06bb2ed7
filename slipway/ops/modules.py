"""Optional nginx modules and the directive that uses each; in the image container.sh looks for them.

Debian packages them (libnginx-mod-http-headers-more-filter, -brotli-static); nginx's own image lacks them.
"""

from collections.abc import Sequence
from pathlib import Path

LOADED = "modules.conf"
FEATURES = "features.conf"
MODULES = {
    "ngx_http_headers_more_filter_module.so": "more_clear_headers Server;",  # nginx alone can't omit the header
    "ngx_http_brotli_static_module.so": "brotli_static on;",
    "ngx_http_zstd_static_module.so": "zstd_static on;",
}
NOT_UNNAMED = "map '' $unnamed { default ''; }"  # headers.conf reads it; unnamed.js, in the image only, sets it


def found(folder: Path) -> list[str]:
    """Return the names of the modules that exist in a folder."""
    return [name for name in MODULES if (folder / name).is_file()]


def loaded(folder: Path, names: Sequence[str]) -> str:
    """Return the directives for the beginning of the configuration."""
    return "".join(f'load_module "{folder / name}";\n' for name in names)


def features(names: Sequence[str]) -> str:
    """Return the directives for the `http` block."""
    return "".join(f"{line}\n" for line in [*(MODULES[name] for name in names), NOT_UNNAMED])
