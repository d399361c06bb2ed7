"""Takes the README's pictures of the running stack: `make screenshots`."""

import sys
import time
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

from slipway.ops import readiness
from slipway.ops.console import Failure
from slipway.ops.load import load
from slipway.ops.packages import find
from slipway.ops.settings import ROOT, StackSettings

FOLDER = ROOT / "docs"
CHROMIUM = [  # no sandbox, which fails as root; the rest keeps it from contacting its vendor at each start
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
LIVE_SECONDS = 7.0  # until the page has a few beats of every worker


def main() -> None:
    """Write home.png, a picture with busy workers."""
    settings = StackSettings.load()
    if not readiness.is_ready(settings, settings.url):
        raise Failure(f"{settings.url} does not answer; `make up` starts the stack")
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    folder.mkdir(exist_ok=True)
    with sync_playwright() as playwright, load(settings, "/"):
        browser = playwright.chromium.launch(executable_path=find("chromium"), args=CHROMIUM)
        page = browser.new_page(viewport={"width": 1100, "height": 1000}, color_scheme="light")
        page.goto(settings.url)
        _busy(page)
        page.screenshot(path=folder / "home.png")
        browser.close()


def _busy(page: Page) -> None:
    page.wait_for_selector("[data-testid=worker-row]")
    time.sleep(LIVE_SECONDS)


if __name__ == "__main__":
    main()
