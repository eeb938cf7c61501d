"""The page of one network in a real browser: that it works, and that it looks right everywhere."""

import itertools
import re

import numpy as np
import pytest
import torch
from browser import (
    PHONE,
    WIDE,
    browser,
    draw_held,
    hold_frames,
    open_page,
    other_colours,
    pictures,
)
from network_pages import GRID, made_up
from test_page_looks import SMALL_TEXT

from lenetshift import ShiftGrid
from lenetshift.metrics.pictures import under_every_shift

pytestmark = pytest.mark.slow

NAMES = ["golden retriever", "<b>hen</b> & egg", *(f"class {i}" for i in range(2, 10))]
KINDS = {
    "digits": {"size": (28, 28), "grid": ShiftGrid(), "name": "net.py:Net"},
    "colours": {"size": (3, 20, 24), "fill": (255, 0, 100), "class_names": NAMES, "name": "<i>timm</i>"},
    "cropped": {"size": (3, 20, 21), "crop": (12, 10), "class_names": NAMES},
    "circular": {"size": (16, 9), "fill": "circular"},
    "large": {"size": (28, 28), "grid": ShiftGrid(range(-10, 11), range(-10, 11))},
    "steps": {"size": (28, 28), "grid": ShiftGrid(range(-6, 7, 3), range(-2, 3, 2))},
    "column": {"size": (28, 28), "grid": ShiftGrid(range(1), range(-3, 4)), "images": None},
    "right": {"share": 0},
    "off": {"size": (28, 28), "grid": ShiftGrid(range(2, 5), range(3, 7))},
}  # fmt: skip


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    folder = tmp_path_factory.mktemp("networks")
    evaluations = {kind: made_up(60, **how) for kind, how in KINDS.items()}
    for kind, evaluation in evaluations.items():
        evaluation.page(folder / f"{kind}.html")
    return folder, evaluations


@pytest.fixture
def opened(open_page, written):
    """Opens the page of a kind; gives the evaluation too."""

    def open_it(kind, **how):
        folder, evaluations = written
        return open_page(folder / f"{kind}.html", **how), evaluations[kind]

    return open_it


def settle(page):
    """Wait until the page has shown what it was told; pictures follow when they are decoded."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def go(page, **asked):
    """Go to an address of the page."""
    text = "&".join(f"{name}={value}" for name, value in asked.items())
    page.evaluate("(text) => { location.hash = `explorer?${text}`; }", text)
    settle(page)


def drawn(page, canvas):
    """The pixels of a canvas, uint8 [height, width, 3]."""
    width, height, values = page.locator(canvas).first.evaluate(
        """(c) => [c.width, c.height,
             Array.from(c.getContext("2d").getImageData(0, 0, c.width, c.height).data)]"""
    )
    return np.array(values, np.uint8).reshape(height, width, 4)[..., :3]


def wait_until_drawn(page, canvas, expected):
    """Wait until a canvas has these pixels; fails if it does not come to that."""
    for _ in range(600):
        if np.array_equal(drawn(page, canvas), expected):
            return
        page.wait_for_timeout(50)
    assert np.array_equal(drawn(page, canvas), expected)


def where(page):
    """dx and dy, as the page says them."""
    found = re.fullmatch(r"dx (.+), dy (.+)", page.inner_text("#where"))
    return tuple(int(text.replace("\N{MINUS SIGN}", "-")) for text in found.groups())


def check_shown(page, evaluation, i, dx, dy):
    """The frame shows image i as the network sees it at that shift, and every part of the page its answer."""
    grid = evaluation.grid
    row, column = grid.index(dx, dy)
    names = evaluation.class_names or [str(k) for k in range(10)]
    answer, label = int(evaluation.predictions[i, row, column]), int(evaluation.labels[i])
    page.wait_for_function(
        "(text) => document.querySelector('.which').textContent === text",
        arg=f"Image {i}, label {names[label]}",
    )
    assert where(page) == (dx, dy)
    assert page.inner_text("#now .digit") == names[answer]
    mark = "\u2713" if answer == label else "\u2717"
    assert page.inner_text("#now .mark") == mark
    right = evaluation.predictions[i] == label
    assert f"Right at {int(right.sum())} of {len(grid)} shifts." in page.inner_text("#share")
    n_wrong = int((evaluation.predictions[:, row, column] != evaluation.labels).sum())
    assert f"{n_wrong} of {len(evaluation)} wrong" in page.inner_text("#map-said")
    if page.locator("table#image-map").count():
        cells = page.locator("#image-map td[data-row]").evaluate_all(
            "(all) => all.map((cell) => [cell.ariaLabel, cell.className.split(' ')[0]])"
        )
        for (said, look), given in zip(
            cells, evaluation.predictions[i].ravel().tolist(), strict=True
        ):
            assert f"{names[given]} {'right' if given == label else 'wrong'} at dx" in said
            assert look == ("right" if given == label else "wrong")
    if evaluation.images is not None:
        seen = under_every_shift(evaluation.images[i], grid, evaluation.fill, evaluation.crop)
        expected = seen[row * grid.n_dx + column]
        expected = expected if expected.ndim == 3 else np.repeat(expected[..., None], 3, 2)
        wait_until_drawn(page, "#frame", expected)


@pytest.mark.parametrize("kind", KINDS)
def test_pictures_and_answers_at_every_place(opened, kind):
    page, evaluation = opened(kind)
    grid = evaluation.grid
    columns = {grid.dx[0], grid.dx[-1], grid.dx[1 % grid.n_dx]}
    for i in (0, 17, 59):
        for dx, dy in itertools.product(columns, (grid.dy[0], grid.dy[-1])):
            go(page, image=i, dx=dx, dy=dy)
            check_shown(page, evaluation, i, dx, dy)


def test_the_strip_is_that_of_the_image(opened):
    page, evaluation = opened("colours")
    go(page, image=5)
    seen = under_every_shift(evaluation.images[5], GRID, evaluation.fill, None)[7:14]
    for place in range(7):
        wait_until_drawn(page, f"#strip li:nth-child({place + 1}) canvas", seen[place])
    said = page.locator("#strip .value").all_text_contents()
    right = (evaluation.predictions[5, 1] == evaluation.labels[5]).tolist()
    assert [text.endswith("right at") for text in said] == right


def test_keys_mouse_and_buttons_move_the_image(opened):
    page, evaluation = opened("steps")
    go(page, image=3)
    page.focus("#frame")
    keys = ("ArrowRight", "ArrowDown", "ArrowDown", "Home")
    for key, place in zip(keys, ((3, 0), (3, 2), (3, 2), (0, 0)), strict=True):
        page.keyboard.press(key)
        settle(page)
        check_shown(page, evaluation, 3, *place)
    box = page.locator("#frame").bounding_box()
    pixel = box["width"] / 28
    page.mouse.move(box["x"] + 90, box["y"] + 90)
    page.mouse.down()
    page.mouse.move(box["x"] + 90 - 5 * pixel, box["y"] + 90 + 1.4 * pixel)
    page.mouse.up()
    settle(page)
    check_shown(page, evaluation, 3, -6, 2)  # the nearest shift of the grid
    page.click("#map td[data-row='0'][data-column='3']")
    settle(page)
    check_shown(page, evaluation, 3, 3, -2)
    page.click("#strip li:nth-child(1)")
    settle(page)
    check_shown(page, evaluation, 3, -6, 0)
    page.wait_for_function(
        "() => location.hash === '#explorer?image=3&dx=-6&dy=0'"
    )  # a moment later
    page.fill("#number", "12")
    page.press("#number", "Enter")
    settle(page)
    check_shown(page, evaluation, 12, -6, 0)
    page.click("#next")
    settle(page)
    check_shown(page, evaluation, 13, -6, 0)
    page.fill("#number", "99")
    page.press("#number", "Enter")
    assert page.inner_text("#pick-said") == "This page does not contain image 99."
    hold_frames(page)
    page.click("#next")
    page.fill("#number", "5")
    draw_held(page)  # what was done before, while a person types
    page.press("#number", "Enter")
    settle(page)
    check_shown(page, evaluation, 5, -6, 0)


@pytest.mark.parametrize("kind", ["circular", "cropped"])
def test_a_drag_by_one_pixel_moves_by_one_pixel(opened, kind):
    """Also a tall image."""
    page, evaluation = opened(kind)
    go(page, image=1)
    box = page.locator("#frame").bounding_box()
    height, width = evaluation.crop or evaluation.images.shape[-2:]
    assert box["width"] / box["height"] == pytest.approx(width / height, rel=0.02)
    page.mouse.move(box["x"] + 50, box["y"] + 50)
    page.mouse.down()
    page.mouse.move(
        box["x"] + 50 + 2 * box["width"] / width, box["y"] + 50 - box["height"] / height
    )
    page.mouse.up()
    settle(page)
    check_shown(page, evaluation, 1, 2, -1)


def test_the_hardest_images_one_after_another(opened):
    page, evaluation = opened("digits")
    right = (evaluation.predictions == evaluation.labels[:, None, None]).numpy()
    lost = np.flatnonzero(right[:, 2, 5])
    order = lost[np.argsort(right[lost].sum((1, 2)), kind="stable")]
    for i in order[:3]:
        page.click("#hardest")
        settle(page)
        check_shown(page, evaluation, int(i), 0, 0)
    page.locator("#worst a").nth(3).click()
    settle(page)
    check_shown(page, evaluation, int(order[3]), 0, 0)


def test_confusions_follow_the_shift(opened):
    page, evaluation = opened("digits")
    page.locator("button.to-shift").first.click()
    settle(page)
    row, column = np.unravel_index(evaluation.accuracy_map().argmin(), GRID_OF_REPORT.shape)
    assert where(page) == (GRID_OF_REPORT.dx[column], GRID_OF_REPORT.dy[row])
    counts = evaluation.confusion().counts[row, column].copy()
    np.fill_diagonal(counts, 0)
    listed = page.locator("#here-taken li").all_inner_texts()
    for text, n in zip(listed, sorted(counts[counts > 0], reverse=True), strict=False):
        label, answer, count = re.findall(r"\d+", text)
        assert counts[int(label), int(answer)] == int(count) == n


GRID_OF_REPORT = ShiftGrid()


def test_a_large_grid_by_keyboard_and_mouse(opened):
    page, evaluation = opened("large")
    go(page, image=7)
    page.focus("#map")
    keys = ("ArrowLeft", "ArrowUp", "End", "ArrowRight")
    for key, place in zip(keys, ((-1, 0), (-1, -1), (10, -1), (10, -1)), strict=True):
        page.keyboard.press(key)
        settle(page)
        check_shown(page, evaluation, 7, *place)
    box = page.locator("#image-map canvas").bounding_box()
    corner = {"x": box["width"] * 0.5 / 21, "y": box["height"] * 20.5 / 21}
    page.click("#image-map", position=corner)
    settle(page)
    check_shown(page, evaluation, 7, -10, 10)
    mark = page.locator("#map .here").bounding_box()
    area = page.locator("#map img").bounding_box()
    assert mark["x"] == pytest.approx(area["x"], abs=1)
    assert mark["y"] + mark["height"] == pytest.approx(area["y"] + area["height"], abs=1)
    each = int(page.get_attribute("#image-map canvas", "data-each"))
    cells = drawn(page, "#image-map canvas")[each // 2 :: each, each // 2 :: each].astype(int)
    right = (evaluation.predictions[7] == evaluation.labels[7]).numpy()
    assert {tuple(c) for c in cells[right]}.isdisjoint({tuple(c) for c in cells[~right]})


def test_it_slides_by_itself(opened):
    page, _ = opened("digits", clock=True, reduced_motion="no-preference")
    places = [where(page)[0]]
    for _ in range(90):
        page.clock.run_for(250)
        if where(page)[0] != places[-1]:
            places.append(where(page)[0])
    assert places[:6] == [0, 1, 2, 3, 4, 5]
    assert -5 in places
    page.press("#frame", "Home")  # a person takes over
    page.clock.run_for(50)
    assert page.inner_text("#play .label") == "Slide"
    page.clock.run_for(5000)
    assert where(page) == (0, 0)
    page.click("#play")
    page.clock.run_for(700)
    assert where(page) == (1, 0) or where(page) == (-1, 0)
    page.click("#play")
    still = where(page)
    page.clock.run_for(5000)
    assert where(page) == still


def test_it_stands_still_if_motion_is_not_wanted(opened):
    page, _ = opened("digits", clock=True)
    page.clock.run_for(5000)
    assert where(page) == (0, 0)


def test_a_person_stops_it_even_just_before_its_next_step(opened):
    page, _ = opened("digits", clock=True)
    page.click("#play")
    page.clock.run_for(545)  # its first step comes after 550
    page.evaluate("document.getElementById('next').click()")
    page.clock.run_for(5000)
    assert page.inner_text("#play .label") == "Slide"
    assert where(page) in ((0, 0), (1, 0))


def test_names_with_html_are_text(opened):
    page, _ = opened("colours")
    assert page.inner_text("h1") == "How robust is <i>timm</i> to moving the image?"
    assert page.locator("h1 i, .gallery b b, .taken b b").count() == 0
    assert "<b>hen</b> & egg" in page.inner_text("#confusions")


def test_a_damaged_page_says_so(open_page, written, tmp_path):
    text = (written[0] / "digits.html").read_text(encoding="utf-8")
    for name, change in {
        "answers": lambda data: data[:-8] + "AAAAAAA=",
        "pictures": lambda data: data[: len(data) // 8 * 4],
    }.items():
        block = re.compile(rf'(<script type="application/gzip;base64" id="{name}">)([^<]*)')
        path = tmp_path / f"{name}.html"
        path.write_text(block.sub(lambda m: m[1] + change(m[2]), text), encoding="utf-8")  # noqa: B023 (called here)
        page = open_page(path, state="failed")
        assert page.inner_text("#problem").startswith("This page is damaged: ")
        assert f"“{name}”" in page.inner_text("#problem")
        assert page.locator("#map").is_visible()


# Looks


@pytest.mark.parametrize("kind", KINDS)
def test_no_sideways_scroll(opened, kind):
    page, _ = opened(kind)
    for width in (320, 360, 500, 800, 1024, 1280, 2000):
        page.set_viewport_size({"width": width, "height": 740})
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        hidden = page.locator("#frame, #now, #strip, #map, h1, .stats, .line").evaluate_all(
            """(all) => all.filter((e) => e.checkVisibility() &&
                 e.getBoundingClientRect().right > innerWidth + 1).map((e) => e.outerHTML.slice(0, 80))"""
        )
        assert hidden == [], width


@pytest.mark.parametrize("kind", ["digits", "colours", "large"])
def test_the_first_screen_of_a_laptop_has_it_all(opened, kind):
    page, _ = opened(kind, viewport={"width": 1280, "height": 720})
    for name in (".stats", "#frame", "#now", "#strip", "#play", "#map"):
        box = page.locator(name).bounding_box()
        assert box["y"] + box["height"] <= 720, name


@pytest.mark.parametrize("kind", KINDS)
def test_no_text_is_smaller_than_12_pixels(opened, kind):
    page, _ = opened(kind, viewport=PHONE)
    assert page.evaluate(SMALL_TEXT) == []


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_axe_finds_nothing(opened, kind, look):
    from axe_playwright_python.sync_playwright import Axe

    how = {"color_scheme": "dark" if look == "dark" else "light"}
    page, _ = opened(kind, viewport=PHONE if look == "phone" else WIDE, **how)
    rules = {name: {"enabled": True} for name in ("target-size", "label-content-name-mismatch")}
    found = Axe().run(page, options={"resultTypes": ["violations"], "rules": rules})
    assert [(v["id"], v["nodes"][0]["html"][:200]) for v in found.response["violations"]] == []
    assert len(found.response["passes"]) > 20  # it ran


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_high_contrast(opened, pictures, scheme):
    page, _ = opened("digits", forced_colors="active", color_scheme=scheme)
    edge = "(e) => { const s = getComputedStyle(e); return [s.outlineStyle, s.outlineWidth]; }"
    assert page.locator(".frame-edge").evaluate(edge) == ["solid", "2px"]
    colour = "(e) => getComputedStyle(e).backgroundColor"
    right, wrong = (
        page.locator(f"#strip .{look} .disc").first.evaluate(colour) for look in ("right", "wrong")
    )
    assert right != wrong
    assert other_colours(page) == []
    page.screenshot(path=pictures / f"network_high_contrast_{scheme}.png", full_page=True)


@pytest.mark.parametrize("kind", ["digits", "large", "column"])
def test_without_script(browser, written, pictures, kind):
    context = browser.new_context(viewport=WIDE, java_script_enabled=False)
    page = context.new_page()
    page.goto((written[0] / f"{kind}.html").as_uri())
    for name in (
        ".stats",
        "#strip",
        "#map",
        "#worst .gallery",
        ".taken:not([id])",
        "#numbers .results",
    ):
        assert page.locator(name).first.is_visible(), name
    for name in ("canvas", "#play", "#image", "button"):
        assert page.locator(name).count() == 0 or page.locator(name).first.is_hidden(), name
    page.screenshot(path=pictures / f"network_without_script_{kind}.png", full_page=True)
    context.close()


@pytest.mark.parametrize("kind", ["digits", "colours"])
def test_print(opened, pictures, kind):
    page, _ = opened(kind)
    pdf = page.pdf(path=pictures / f"network_{kind}.pdf", format="A4", print_background=True)
    assert 1 <= len(re.findall(rb"/Type\s*/Page\b", pdf)) <= 5
    page.emulate_media(media="print")
    for name in ("nav", "#play", "#image"):
        assert page.locator(name).first.is_hidden(), name
    assert page.locator("#confusions tbody .without-script").first.is_visible()
    page.screenshot(path=pictures / f"network_print_{kind}.png", full_page=True)


@pytest.mark.parametrize("look", ["light", "dark", "phone", "phone_dark"])
@pytest.mark.parametrize("kind", ["digits", "colours", "large"])
def test_looks(opened, pictures, kind, look):
    how = {"color_scheme": "dark" if "dark" in look else "light"}
    if "phone" in look:
        how |= {"viewport": PHONE, "device_scale_factor": 2}
    page, _ = opened(kind, **how)
    page.screenshot(path=pictures / f"network_{kind}_{look}.png", full_page=True)
