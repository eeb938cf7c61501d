"""Chromium for the tests of ``report.html``: fixtures, to be imported by name.

They need Chromium, Playwright and axe-core (``pip install '.[browser]'``), and are skipped without
them, unless LENETSHIFT_NEEDS_BROWSER is set. LENETSHIFT_SCREENSHOTS names a folder for pictures of
the page, to be looked at.
"""

import importlib.util
import os
import shutil
from pathlib import Path

import pytest
from command_line import run

WIDE, PHONE = {"width": 1280, "height": 900}, {"width": 360, "height": 740}


def _browser_path():
    names = ("chromium", "chromium-browser", "google-chrome")
    return next(filter(None, map(shutil.which, names)), None)


def _lacking():
    for package in ("playwright", "axe_playwright_python"):
        if importlib.util.find_spec(package) is None:
            return f"{package} is not installed: pip install '.[browser]'"
    return "" if _browser_path() else "no Chromium is installed"


@pytest.fixture(scope="module")
def browser():
    lacking = _lacking()
    if lacking and os.environ.get("LENETSHIFT_NEEDS_BROWSER"):
        pytest.fail(f"LENETSHIFT_NEEDS_BROWSER is set, but {lacking}")
    if lacking:
        pytest.skip(lacking)
    from playwright.sync_api import sync_playwright

    # Chromium's own sandbox refuses to work for root, whom a container often is.
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=_browser_path(), args=arguments)
        yield started
        started.close()


@pytest.fixture(scope="module")
def results(tmp_path_factory, browser):
    out = tmp_path_factory.mktemp("page") / "results"
    assert run("reproduce", "--quick", "--out", out)[0] == 0
    return out


@pytest.fixture
def open_page(browser):
    """Opens a file in a window of its own; fails if the console shows anything, or anything but the file is
    requested."""
    contexts, said = [], []

    def open_it(path, state="ready", address="", clock=False, **how):
        """With ``clock`` its time stands still once it is in the state, until ``page.clock`` lets it run."""
        context = browser.new_context(**{"viewport": WIDE, "reduced_motion": "reduce", **how})
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(f"console: {message.text}"))
        page.on("pageerror", lambda error: said.append(f"error: {error}"))
        page.on("request", lambda request: said.append(f"request: {request.url[:100]}"))
        if clock:
            page.clock.install(time=0)
        page.goto(path.as_uri() + address)
        page.wait_for_selector(f"html[data-state={state}]", timeout=60_000)
        if clock:
            page.clock.pause_at(3600)
        return page

    yield open_it
    for context in contexts:
        context.close()
    asked = [line for line in said if not line.startswith(("request: file:", "request: data:"))]
    assert not asked
    assert sum(line.startswith("request: file:") for line in said) == len(contexts)


@pytest.fixture
def page(open_page, results):
    return open_page(results / "report.html")


def hold_frames(page):
    """What the page would draw waits for ``draw_held``."""
    page.evaluate(
        "() => { window.held = []; window.drawing = requestAnimationFrame;"
        " window.requestAnimationFrame = (draw) => held.push(draw); }"
    )


def draw_held(page):
    page.evaluate(
        "() => { window.requestAnimationFrame = drawing; held.forEach((draw) => draw(performance.now())); }"
    )


@pytest.fixture(scope="session")
def pictures(tmp_path_factory):
    wanted = os.environ.get("LENETSHIFT_SCREENSHOTS")
    folder = Path(wanted) if wanted else tmp_path_factory.mktemp("screenshots")
    folder.mkdir(parents=True, exist_ok=True)
    return folder


SYSTEM_COLOURS = (
    *("Canvas", "CanvasText", "LinkText", "ButtonText", "FieldText", "GrayText"),
    *("Highlight", "HighlightText"),
)

OTHER_COLOURS = """(names) => {
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.forcedColorAdjust = "none";
  const system = new Set(names.map((name) => {
    probe.style.color = name;
    return getComputedStyle(probe).color;
  }));
  probe.remove();
  const luminance = (colour) => colour.match(/[\\d.]+/g).slice(0, 3).map((c) => c / 255)
    .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
    .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
  const contrast = (a, b) => (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const of = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !of.checkVisibility()) continue;
    if (of.closest("script, style, .sr")) continue;
    const { color } = getComputedStyle(of);
    let behind = null;  // what the page itself paints behind the text
    for (let e = of; e && getComputedStyle(e).forcedColorAdjust === "none"; e = e.parentElement) {
      const { backgroundColor } = getComputedStyle(e);
      if (backgroundColor !== "rgba(0, 0, 0, 0)") { behind = backgroundColor; break; }
    }
    const readable = behind
      ? contrast(luminance(color), luminance(behind)) >= 4.5
      : system.has(color);
    const name = of.className || of.parentElement.className;
    if (!readable) found.push(`${name}: ${of.textContent}, ${color}`);
  }
  for (const shape of document.querySelectorAll("main svg:not(button svg) :is(line, rect, path)")) {
    for (const paint of ["fill", "stroke"]) {
      const colour = getComputedStyle(shape)[paint];
      if (colour !== "none" && shape.checkVisibility() && !system.has(colour)) {
        found.push(`${shape.tagName} of ${shape.closest("svg").parentElement.className}: ${colour}`);
      }
    }
  }
  return [...new Set(found)];
}"""


def other_colours(page):
    """With high contrast: texts and shapes of charts in a colour of the page's on one of the system's."""
    return page.evaluate(OTHER_COLOURS, list(SYSTEM_COLOURS))
