"""``report.html`` in a real browser: phones, dark and light, print, and accessibility."""

import re

import pytest
from browser import PHONE, WIDE, browser, open_page, other_colours, page, pictures, results
from pages import a_dossier, finished

from lenetshift.data.load import MNIST_SHA256
from lenetshift.page import render_page

pytestmark = pytest.mark.slow


def test_no_wider_than_a_phone(page, pictures):
    for width in (320, 360, 500, 800, 1024, 1280, 2000):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        hidden = page.locator("#frame, #number, #draw, h1, .results").evaluate_all(
            "(all) => all.filter((e) => e.getBoundingClientRect().right > innerWidth + 1).length"
        )
        assert hidden == 0


def test_a_study_on_a_phone(open_page, small, tmp_path, pictures):
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5,mlp")
    # With MNIST, the report's numbers stand next to ours, which takes the most room.
    value["environment"]["data_sha256"] = MNIST_SHA256
    path = tmp_path / "report.html"
    path.write_text(render_page(job, checkpoints, value, a_dossier()), encoding="utf-8")
    page = open_page(path, viewport=PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert page.locator(".study .verdict").all_inner_texts() == ["agrees", "deviates"]
    page.locator("#table").screenshot(path=pictures / "phone_study.png")


SMALL_TEXT = """() => {
  const found = [];
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const of = walker.currentNode.parentElement;
    if (!walker.currentNode.data.trim() || !of.checkVisibility()) continue;
    if (parseFloat(getComputedStyle(of).fontSize) < 12) found.push(of.className + of.textContent);
  }
  return found;
}"""
"""Texts that are smaller than 12 pixels."""


def test_no_text_is_smaller_than_12_pixels(open_page, results):
    page = open_page(results / "report.html", viewport=PHONE)
    unfold(page)
    assert page.evaluate(SMALL_TEXT) == []


def test_a_wide_screen_is_used(open_page, results):
    page = open_page(results / "report.html", viewport={"width": 1920, "height": 1080})
    box = page.locator("main").bounding_box()
    assert box["width"] > 1700
    for name in ("#slide", "#layers", ".bench", ".results"):
        assert page.locator(name).bounding_box()["width"] > 1600, name


def test_high_contrast(open_page, results, pictures):
    """Frames have an edge, buttons too, and right answers still look different from wrong ones."""
    for scheme in ("light", "dark"):
        page = open_page(results / "report.html", forced_colors="active", color_scheme=scheme)
        page.click("#draw summary")
        edge = "(e) => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth]; }"
        for name in (".frame-edge", "#pad", "#small"):
            assert page.locator(name).evaluate(edge) == ["solid", "2px"], name
        borders = page.locator("main button:visible").evaluate_all(
            "(all) => all.map((e) => getComputedStyle(e).borderTopStyle)"
        )
        assert {*borders} == {"solid"}
        looks = page.locator("#grid-mlp td.right, #grid-mlp td.wrong").evaluate_all(
            "(all) => all.map((e) => [e.classList[0], getComputedStyle(e).backgroundColor])"
        )
        colours = dict(looks)
        assert {tuple(look) for look in looks} == {*colours.items()}  # one for each
        assert len({*colours.values()}) == len(colours) == 2
        page.screenshot(path=pictures / f"high_contrast_{scheme}.png")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_and_charts_with_high_contrast(open_page, small, tmp_path, scheme):
    """They have the system's colours, also with a study's verdicts and with the interval of one more run."""
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5,mlp")
    value["environment"]["data_sha256"] = MNIST_SHA256
    path = tmp_path / "report.html"
    path.write_text(render_page(job, checkpoints, value, a_dossier()), encoding="utf-8")
    page = open_page(path, forced_colors="active", color_scheme=scheme)
    page.click("#draw summary")
    page.evaluate(ADD_CHART)
    assert other_colours(page) == []


ADD_CHART = """() => {
  const chart = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const shape of ["line", "rect", "path"]) {
    chart.append(document.createElementNS("http://www.w3.org/2000/svg", shape));
  }
  const box = document.createElement("span");
  box.className = "one-more below";
  box.append(chart);
  document.querySelector(".results td").append(box);
}"""
"""The interval of one more run, as the page has it in a run with the default settings."""


def test_without_script(browser, results, pictures):
    context = browser.new_context(viewport=WIDE, java_script_enabled=False)
    page = context.new_page()
    page.goto((results / "report.html").as_uri())
    for name in (
        "#networks .along",
        "#thumbs img",
        ".frame-edge img",
        ".results",
        "#figure-1",
        "#map-mlp",
    ):
        assert page.locator(name).first.is_visible(), name
    for name in ("canvas", "#play", "#more", "#layers", "button.take"):
        assert page.locator(name).first.is_hidden(), name
    page.screenshot(path=pictures / "without_script.png", full_page=True)
    context.close()


def test_no_line_ends_within_a_name(page):
    text = page.evaluate("document.body.innerText")
    assert "LeNet\N{NON-BREAKING HYPHEN}5" in text
    assert "LeNet-5" not in text


def unfold(page):
    page.click("#map-lenet5 [data-row='2'][data-column='8']")
    page.click("#draw summary")


@pytest.mark.parametrize("look", ["light", "dark", "phone", "phone_dark"])
def test_looks(open_page, results, pictures, look):
    how = {"color_scheme": "dark" if "dark" in look else "light"}
    if "phone" in look:
        how |= {"viewport": PHONE, "device_scale_factor": 2}
    page = open_page(results / "report.html", **how)
    unfold(page)
    page.screenshot(path=pictures / f"{look}.png", full_page=True)
    page.locator("#explorer").screenshot(path=pictures / f"{look}_explorer.png")
    light = page.evaluate(
        """() => {
          const [paper, ink] = ["backgroundColor", "color"].map((name) =>
            getComputedStyle(document.body)[name].match(/\\d+/g).map(Number));
          return paper.reduce((a, b) => a + b) > ink.reduce((a, b) => a + b);
        }"""
    )
    assert light == ("dark" not in look)


def test_print(page, pictures):
    page.click("#map-lenet5 [data-row='2'][data-column='8']")
    pdf = page.pdf(path=pictures / "print.pdf", format="A4", print_background=True)
    assert pdf.startswith(b"%PDF")
    assert 2 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 5
    page.emulate_media(media="print")
    page.screenshot(path=pictures / "print.png", full_page=True)
    page.set_viewport_size({"width": 688, "height": 1000})  # A4 without its margins
    assert page.evaluate("document.documentElement.scrollWidth") <= 688
    for name in ("nav", "#more", "#play", "#draw", ".pager"):
        assert page.locator(name).first.is_hidden(), name
    for name in (".results", "#figure-1", "#map-mlp", "#frame", "#networks", "#layers .chosen"):
        assert page.locator(name).is_visible(), name
    whole = "(all) => all.every((e) => getComputedStyle(e).breakInside === 'avoid')"
    assert page.locator("table, figure, .slide").evaluate_all(whole)


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_nothing(open_page, results, look):
    from axe_playwright_python.sync_playwright import Axe

    how = {"color_scheme": "dark" if look == "dark" else "light"}
    page = open_page(results / "report.html", viewport=PHONE if look == "phone" else WIDE, **how)
    unfold(page)
    found = Axe().run(
        page,
        options={
            "resultTypes": ["violations"],
            "rules": {
                name: {"enabled": True} for name in ("target-size", "label-content-name-mismatch")
            },
        },
    )
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found.response["violations"]] == []
    assert len(found.response["passes"]) > 20  # it ran
