"""docs/load-testing.md agrees with the code."""

import re
from pathlib import Path

from slipway.ops.settings import ROOT
from tests.bench.fake_servers import serving
from tests.loadtest.conftest import Locust

PAGE = (ROOT / "docs" / "load-testing.md").read_text()
ORDER = b'HTTP/1.1 201 Created\r\nContent-Length: 15\r\n\r\n{"state":"new"}'


def test_the_user_of_the_page_runs(locust: Locust, tmp_path: Path) -> None:
    """The example user of the page runs unchanged in the folder of the load tests."""
    source = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)[0]
    folder = tmp_path / "loadtest"
    folder.mkdir()
    for helper in (ROOT / "loadtest").glob("_*.py"):
        (folder / helper.name).write_text(helper.read_text())
    (folder / "http_orders.py").write_text(source)

    with serving(
        lambda request, now: (0, ORDER if request.startswith(b"POST") else ORDER.replace(b"201", b"200"))
    ) as port:
        outcome = locust("-u", "2", host=f"http://127.0.0.1:{port}", file=str(folder), cwd=tmp_path)

    assert outcome.code == 0, outcome.output
    assert "POST /orders" in " ".join(outcome.output.split())


def test_the_page_has_each_option_and_each_exit_code() -> None:
    """The page has each option and exit code that this folder adds to locust's own."""
    source = (ROOT / "loadtest" / "_options.py").read_text()
    options = re.findall(r'own\("([a-z-]+)"', source)
    codes = re.search(r"^WRONG_OPTION, .* = (.*)$", source, re.MULTILINE)

    assert len(options) == 6 and codes is not None
    assert all(f"| `--{option}" in PAGE for option in options)
    assert all(f"\n| {code} | " in PAGE for code in ("0", "1", *codes[1].split(", ")))
