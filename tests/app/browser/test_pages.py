"""The pages in a browser: they reconnect by themselves, miss nothing, and show their state in words."""

import os
import re
import signal
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.app.browser.conftest import Open, keep_screenshot
from tests.harness.servers import Redis
from tests.harness.stack import Server

CONNECTED = re.compile(r"^connected to worker (\d) \(pid (\d+)\)$")
PHONE = {"viewport": {"width": 360, "height": 640}, "is_mobile": True, "has_touch": True, "device_scale_factor": 2}
COLUMNS = [
    "Worker", "Process id", "Requests", "Requests/s", "p50, ms", "p99, ms", "Connections", "Memory, MiB",
    "Loop lag, ms", "Reloads", "Up since",
]  # fmt: skip
# Pixels by which the table extends beyond the column of text.
OUTSIDE = """() => { const right = (name) => document.querySelector(name).getBoundingClientRect().right;
  return Math.max(0, Math.round(right("table") - right("#state"))); }"""
PATHS = {"home": "/", "chat": "/chat", "live": "/live"}


def worker(page: Page) -> tuple[int, int]:
    """Return the slot and the pid of the worker that a page is connected to, as the page shows them."""
    state = page.get_by_test_id("state")
    expect(state).to_have_text(CONNECTED)
    match = CONNECTED.match(state.inner_text())
    assert match is not None
    return int(match[1]), int(match[2])


def at_different_workers(open_page: Open) -> list[Page]:
    """Open two chat pages at different workers; which worker a page gets depends on the other open connections."""
    pages: dict[int, Page] = {}
    for _ in range(10):
        page = open_page("/chat")
        pages.setdefault(worker(page)[0], page)
        if len(pages) == 2:
            break
    return list(pages.values())


def say(page: Page, *messages: str) -> None:
    for message in messages:
        page.get_by_label("Message", exact=True).fill(message)
        page.keyboard.press("Enter")


def texts(page: Page) -> Any:
    """Return the messages of a log, in order."""
    return page.get_by_test_id("message").locator(".text")


def test_home_shows_the_workers(open_page: Open, server: Server) -> None:
    """The home page says which worker answered, shows all of them live, and tells which one replaced a killed one."""
    page = open_page("/")
    rows = page.get_by_test_id("worker-row")
    slot, pid = worker(page)
    expect(rows).to_have_count(2)
    shown = [int(row.get_attribute("data-pid") or 0) for row in rows.all()]

    assert pid in server.pids()
    assert sorted(shown) == sorted(server.pids())
    expect(page.locator(f'tr[data-slot="{slot}"]')).to_contain_text("this page")
    for field in ("requests", "rate", "connections", "memory", "lag"):
        expect(rows.first.locator(f'[data-field="{field}"]')).to_have_text(re.compile(r"^[\d,.]+$"))
    expect(rows.first.locator("time")).to_have_text(re.compile(r"\d\d:\d\d:\d\d$"))
    expect(page.get_by_role("columnheader")).to_have_text(COLUMNS)
    keep_screenshot(page, "home")
    for width in (1_280, 1_000, 990, 380):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate(OUTSIDE) == 0, width
    os.kill(pid, signal.SIGKILL)
    expect(page.get_by_test_id("news")).to_contain_text(f"pid {pid} has become")
    assert worker(page)[1] != pid


def test_home_shows_latencies_and_reloads(open_page: Open, server: Server) -> None:
    """The home page shows the latest latencies, without the page's own stream, and the number of reloads."""
    page = open_page("/")
    for field in ("p50", "p99"):
        expect(page.locator(f'[data-field="{field}"]').filter(has_text=re.compile(r"^\d+\.\d$"))).not_to_have_count(0)
    page.reload()  # ends the first stream
    expect(page.locator('[data-field="reloads"]')).to_have_text(["0", "0"])
    server.signal(signal.SIGHUP)
    expect(page.locator('[data-field="reloads"]')).to_have_text(["1", "1"])

    shown = page.locator('[data-field="p99"]').all_inner_texts()
    assert all(float(cell) < 1_000 for cell in shown if cell[0].isdigit())


def test_chat_while_a_worker_is_killed(open_page: Open, server: Server) -> None:
    """Two browsers at different workers miss nothing and see nothing twice while one of the workers is killed."""
    ann, bob = at_different_workers(open_page)
    ann.get_by_label("Your name").fill("Ann")
    bob.get_by_label("Your name").fill("Bob")
    say(ann, "one", "two")
    expect(texts(bob)).to_have_text(["one", "two"])
    os.kill(worker(ann)[1], signal.SIGKILL)
    say(bob, "three")
    say(ann, "four", "five")
    expect(texts(ann)).to_have_count(5)
    say(bob, "six")

    for page in (ann, bob):
        expect(texts(page)).to_have_count(6)
        expect(page.get_by_test_id("pending-message")).to_have_count(0)
    read = [texts(page).all_inner_texts() for page in (ann, bob)]
    assert read[0] == read[1]
    assert sorted(read[0]) == sorted(["one", "two", "three", "four", "five", "six"])
    assert [text for text in read[0] if text in ("four", "five")] == ["four", "five"]
    keep_screenshot(ann, "chat")


def test_live_resumes(open_page: Open, server: Server) -> None:
    """The live page resumes where it stopped when its worker is killed."""
    live, chat = open_page("/live"), open_page("/chat")
    chat.get_by_label("Your name").fill("Ann")
    say(chat, "before")
    expect(texts(live)).to_have_text(["before"])

    os.kill(worker(live)[1], signal.SIGKILL)
    say(chat, "meanwhile", "after")

    expect(texts(live)).to_have_text(["before", "meanwhile", "after"])
    worker(live)
    keep_screenshot(live, "live")


def test_chat_while_the_bus_is_away(open_page: Open, redis: Redis) -> None:
    """While Redis is stopped the page stays connected and says so; a message written then is sent once, afterwards."""
    page = open_page("/chat")
    page.get_by_label("Your name").fill("Ann")
    say(page, "before")
    expect(texts(page)).to_have_text(["before"])

    redis.pause()
    try:
        expect(page.get_by_test_id("state")).to_contain_text("waits for the message log")
        say(page, "meanwhile")
        expect(page.get_by_test_id("pending-message")).to_contain_text("not sent yet")
        keep_screenshot(page, "chat-bus-away")
    finally:
        redis.resume()

    worker(page)
    expect(texts(page)).to_have_text(["before", "meanwhile"])
    expect(page.get_by_test_id("pending-message")).to_have_count(0)


def test_keyboard(open_page: Open) -> None:
    """Everything works without a mouse: skip to the content, write, begin a new line, send, go to another page."""
    page = open_page("/chat")
    worker(page)
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(2):
        page.keyboard.press("Tab")
    expect(page.get_by_label("Your name")).to_be_focused()
    page.keyboard.type("Ann")
    page.keyboard.press("Tab")
    page.keyboard.type("one")
    page.keyboard.press("Shift+Enter")
    page.keyboard.type("two")
    page.keyboard.press("Enter")

    expect(texts(page)).to_have_text(["one two"])
    assert texts(page).inner_text() == "one\ntwo"
    expect(page.get_by_label("Message", exact=True)).to_be_focused()
    page.get_by_role("link", name="Live").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Live")).to_be_visible()


def test_reconnecting_is_spread(open_shared: Open) -> None:
    """The pauses between two attempts grow to ten seconds, and are random for each client."""
    page = open_shared("/live")
    pauses = page.evaluate(
        """async () => {
          const { backoffMs } = await import("/static/connection.js");
          return [0, 3, 20].map((attempt) => Array.from({ length: 200 }, () => backoffMs(attempt)));
        }"""
    )

    for longest, seen in zip((250, 2_000, 10_000), pauses, strict=True):
        assert len(set(seen)) > 190
        assert min(seen) < longest / 4
        assert longest * 3 / 4 < max(seen) <= longest


COLOURS = """
  const parse = (color) => color.match(/[\\d.]+/g).map(Number);
  const light = ([r, g, b]) => [r, g, b].map((v) => v / 255)
    .map((v) => (v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4))
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  const ground = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const color = parse(getComputedStyle(at).backgroundColor);
      if (color.length === 3 || color[3] > 0) return color;
    }
    return [255, 255, 255];
  };
  const contrast = (color, element) => {
    const [one, other] = [light(parse(color)), light(ground(element))];
    return (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
  };
"""
# https://www.w3.org/TR/WCAG22/#contrast-minimum: the lowest contrast of all texts
TEXTS = f"""() => {{ {COLOURS}
  const texts = [...document.querySelectorAll("main *, header *")].filter((element) => element.checkVisibility() &&
    [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()));
  return Math.min(...texts.map((element) => contrast(getComputedStyle(element).color, element)));
}}"""
# https://www.w3.org/TR/WCAG22/#non-text-contrast: the focused element by name, and the contrast of its outline
FOCUS = f"""() => {{ {COLOURS}
  const element = document.activeElement;
  const {{ outlineStyle, outlineWidth, outlineColor }} = getComputedStyle(element);
  const name = element.ariaLabel ?? element.labels?.[0]?.innerText ?? element.innerText;
  const seen = outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  return [name, seen ? contrast(outlineColor, element.parentElement) : 0];
}}"""
HEAD = ["Skip to the content", "Slipway", "Workers", "Chat", "Live"]
TAB_ORDER = {
    "home": [*HEAD, "Chat", "Live", "/api/users", "/healthz", "/openapi.json", "/version"],
    "chat": [*HEAD, "Messages", "Your name", "Message", "Send"],
    "live": [*HEAD, "Events", "chat", "Show the workers' heartbeats too"],
}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_tab_order(open_shared: Open, scheme: str) -> None:
    """The Tab key reaches every control in the page's order; each has a name and shows its focus."""
    for name, path in PATHS.items():
        page = open_shared(path, color_scheme=scheme)
        worker(page)
        reached = []
        for _ in TAB_ORDER[name]:
            page.keyboard.press("Tab")
            reached.append(page.evaluate(FOCUS))

        assert [label for label, _ in reached] == TAB_ORDER[name]
        assert all(contrast >= 3 for _, contrast in reached), reached


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("device", ["desktop", "phone"])
def test_light_dark_and_phone(open_shared: Open, scheme: str, device: str) -> None:
    """In both colour schemes every text has a contrast of 4.5 : 1, and on a phone nothing is wider than the screen."""
    options = {"color_scheme": scheme, **(PHONE if device == "phone" else {})}
    grounds = set()
    for name, path in PATHS.items():
        page = open_shared(path, **options)
        worker(page)
        if name == "chat":
            page.get_by_label("Your name").fill("Ann")
            say(page, f"Hello from the {device} in {scheme} colours! " + "x" * 100)
            expect(texts(page).last).to_contain_text(f"the {device} in {scheme}")
        keep_screenshot(page, f"{name}-{device}-{scheme}")

        assert page.evaluate(TEXTS) >= 4.5
        assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
        grounds.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
        page.close()

    assert grounds == {"rgb(251, 251, 250)" if scheme == "light" else "rgb(20, 24, 26)"}


@pytest.mark.parametrize("path", PATHS.values())
def test_pages_by_https(open_shared: Open, path: str) -> None:
    """Each page has its live connection over HTTPS too, and keeps the content security policy."""
    page = open_shared(path, https=True)
    expect(page.get_by_test_id("state")).to_have_text(CONNECTED)

    assert page.evaluate("() => location.protocol") == "https:"
