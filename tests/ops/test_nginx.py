"""The nginx configuration as it is filled in for the local runtime."""

import re
from pathlib import Path

import pytest

from slipway.ops import nginx, nginx_text


def test_a_missing_value_is_an_error() -> None:
    """A placeholder that nothing fills would end up in the configuration."""
    with pytest.raises(KeyError):
        nginx_text.render(nginx_text.templates()["nginx.conf"], {})


def test_no_placeholder_is_left_and_nginx_variables_stay(tmp_path: Path) -> None:
    """Only `${NAME}` is filled in."""
    nginx.prepare(tmp_path, listen="127.0.0.1:1", socket_dir=tmp_path / "s", max_body_bytes=7)
    text = "".join((tmp_path / name).read_text() for name in nginx_text.templates())

    assert not re.search(r"^[^#]*\$\{", text, re.MULTILINE)
    assert "$http_upgrade" in text
    assert "client_max_body_size 7;" in text
    assert "proxy_read_timeout 60s;" in text


def test_every_location_that_proxies_includes_all_headers() -> None:
    """A location with a proxy_set_header of its own would inherit none, and believe the client's."""
    template = "".join(nginx_text.templates().values())

    assert "proxy_set_header" not in template
    assert template.count("proxy_pass ") == template.count('/proxy.conf";') == 4


def test_no_location_has_an_error_page_of_its_own() -> None:
    """It would inherit none of the others, and nginx would answer with its own pages there."""
    texts = [text for name, text in nginx_text.templates().items() if name != "errors.conf"]

    assert "error_page" not in "".join(texts)
