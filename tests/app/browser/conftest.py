"""The system's headless Chromium in front of the real stack. Each test has its own browser context."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from slipway.ops import packages
from slipway.ops.settings import ROOT
from tests.harness import servers
from tests.harness.servers import Redis
from tests.harness.stack import Nginx, Server, behind_nginx, serving

SCREENSHOTS = ROOT / ".run" / "screenshots"
# Chromium has no sandbox when run as root; the other options keep the browser from talking to other hosts.
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
POLICY = "Content Security Policy"  # part of each violation that Chromium logs
MILLISECONDS = 15_000  # to wait for anything expected

Open = Callable[..., Page]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    expect.set_options(timeout=MILLISECONDS)
    with sync_playwright() as playwright:
        program = packages.find("chromium") or packages.find("chromium-browser")
        chromium = playwright.chromium.launch(executable_path=program, args=ARGUMENTS, timeout=30_000)
        yield chromium
        chromium.close()


@pytest.fixture(scope="module")
def redis() -> Iterator[Redis]:
    with servers.redis() as server:
        yield server


@pytest.fixture
def server(redis: Redis) -> Iterator[Server]:
    """Two workers with an empty log."""
    redis.command("FLUSHALL")
    with serving(workers=2, BUS_URL=redis.url) as server:
        yield server


@pytest.fixture
def nginx(server: Server) -> Iterator[Nginx]:
    with behind_nginx(server, https=True) as nginx:
        yield nginx


@pytest.fixture(scope="module")
def shared_nginx() -> Iterator[Nginx]:
    """The nginx of a stack shared by tests that do not depend on the messages in the log."""
    with serving(workers=2) as server, behind_nginx(server, https=True) as nginx:
        yield nginx


@pytest.fixture
def open_page(browser: Browser, nginx: Nginx) -> Iterator[Open]:
    """Yield a function that opens a path of the test's own stack."""
    with _opening(browser, nginx) as open_page:
        yield open_page


@pytest.fixture
def open_shared(browser: Browser, shared_nginx: Nginx) -> Iterator[Open]:
    """Yield a function that opens a path of the shared stack."""
    with _opening(browser, shared_nginx) as open_page:
        yield open_page


@contextmanager
def _opening(browser: Browser, nginx: Nginx) -> Iterator[Open]:
    """Yield a function that opens a path in a new browser profile; fail on script errors and policy violations."""
    contexts: list[BrowserContext] = []
    errors: list[str] = []

    def open_page(path: str, *, https: bool = False, **options: Any) -> Page:
        context = browser.new_context(**{"locale": "en-GB", "ignore_https_errors": https, **options})
        contexts.append(context)
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("console", lambda message: errors.append(message.text) if POLICY in message.text else None)
        page.goto(f"{nginx.https_url if https else nginx.url}{path}")
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert not errors


def keep_screenshot(page: Page, name: str) -> None:
    SCREENSHOTS.mkdir(parents=True, exist_ok=True)
    page.screenshot(path=Path(SCREENSHOTS, f"{name}.png"), full_page=True)
