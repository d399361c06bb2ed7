"""The nginx configuration, filled in for the local runtime."""

import re
from pathlib import Path

import pytest

from slipway.ops import nginx, nginx_text


def test_a_missing_value_is_an_error() -> None:
    """A placeholder that nothing fills is an error, since it would end up in the configuration."""
    with pytest.raises(KeyError):
        nginx_text.render(nginx_text.templates()["nginx.conf"], {})


def test_no_placeholder_is_left_and_nginx_variables_stay(tmp_path: Path) -> None:
    """Only `${NAME}` is filled in, and nginx's own variables stay."""
    nginx.prepare(tmp_path, listen="127.0.0.1:1", socket_dir=tmp_path / "s", max_body_bytes=7)
    text = "".join((tmp_path / name).read_text() for name in nginx_text.templates())

    assert not re.search(r"^[^#]*\$\{", text, re.MULTILINE)
    assert "$http_upgrade" in text
    assert "client_max_body_size 7;" in text
    assert "proxy_read_timeout 60s;" in text


def test_every_location_that_proxies_includes_all_headers() -> None:
    """No location sets a proxy header of its own: it would inherit none, and trust the client's."""
    template = "".join(nginx_text.templates().values())

    assert "proxy_set_header" not in template
    assert template.count("proxy_pass ") == template.count('/proxy.conf";') == 4


def test_no_location_has_an_error_page_of_its_own() -> None:
    """No location has its own error_page: it would inherit no other, and nginx would answer with its own pages."""
    texts = [text for name, text in nginx_text.templates().items() if name != "errors.conf"]

    assert "error_page" not in "".join(texts)
