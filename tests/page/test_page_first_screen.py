"""The first screen of ``report.html`` in a real browser: the slide, the layers, drawing, the address."""

import itertools
import json
import re
import zlib

import numpy as np
import pytest
import torch
from browser import PHONE, WIDE, browser, draw_held, hold_frames, open_page, page, results
from page_answers import logits_of, network

from lenetshift.data.load import load_mnist
from lenetshift.page.mended import mended_network
from lenetshift.reference import translate

pytestmark = pytest.mark.slow

FIRST_PICTURE = ["lenet5", "biased_lenet5", "mlp", "jittered_lenet5", "place_blind"]


def settle(page):
    """Wait until the page has drawn."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def shown_image(page):
    """The test image that the page shows, uint8 [28, 28], and its label."""
    settle(page)
    index = int(re.search(r"\d+", page.locator(".which").first.inner_text()).group())
    test = load_mnist()[1]
    return test.images[index], int(test.labels[index])


def where(page):
    settle(page)
    return page.inner_text("#where")


def whole_in_view(page, selector):
    """Whether all elements that a selector finds lie within the screen, without scrolling."""
    return page.locator(selector).evaluate_all(
        """(all) => all.every((e) => {
             const box = e.getBoundingClientRect();
             return box.width > 0 && box.top >= 0 && box.bottom <= innerHeight && box.right <= innerWidth + 1;
           })"""
    )


def test_the_first_screen_shows_everything(page):
    """Wide: digit, answers, layers. Nothing is scrolled."""
    for selector in ("h1", "#frame", "#networks .along", "#layers canvas", ".claim"):
        assert whole_in_view(page, selector), selector
    assert page.locator(".claim").all_inner_texts()[:2] == [
        "The maps move with the digit.",
        "The layer after them does not.",
    ]


def test_the_first_screen_while_one_draws_on_a_wide_screen(open_page, results):
    page = open_page(results / "report.html", viewport={"width": 1920, "height": 1080})
    page.click("#draw summary")
    settle(page)
    for selector in ("h1", "#frame", "#pad", "#clear", "#networks .along", "#layers canvas"):
        assert whole_in_view(page, selector), selector


@pytest.mark.parametrize("drawing", [False, True])
def test_the_first_screen_of_a_phone(open_page, results, drawing):
    page = open_page(results / "report.html", viewport=PHONE, has_touch=True, is_mobile=True)
    if drawing:
        page.click("#draw summary")
        settle(page)
        page.evaluate("document.querySelector('#slide').scrollIntoView()")
    for selector in (
        "#frame",
        "#networks .along",
        *(["#pad", "#clear", "#meant"] if drawing else ["h1"]),
    ):
        assert whole_in_view(page, selector), selector
    assert page.locator(".keys").first.is_hidden()  # nobody has arrow keys there


def test_answers_along_the_slide(page, results):
    image, label = shown_image(page)
    rows = page.locator("#networks [data-model]")
    assert rows.evaluate_all("(all) => all.map((e) => e.dataset.model)") == FIRST_PICTURE
    page.focus("#frame")
    page.keyboard.press("ArrowDown")
    settle(page)
    shifts = [(dx, 1) for dx in range(-5, 6)]
    for name in FIRST_PICTURE:
        answers = logits_of(network(results, name), image[None], shifts)[0].argmax(-1).tolist()
        row = page.locator(f'#networks [data-model="{name}"]')
        page.wait_for_function(
            """([name, text]) => [...document.querySelectorAll(
                 `#networks [data-model="${name}"] .along li span:first-child`)]
                 .map((e) => e.textContent).join() === text""",
            arg=[name, ",".join(map(str, answers))],
        )
        classes = row.locator(".along li").evaluate_all("(all) => all.map((e) => e.className)")
        assert [("right" in c) for c in classes] == [answer == label for answer in answers]
        assert [i for i, c in enumerate(classes) if "here" in c] == [5]
        assert row.locator(".now .digit").inner_text() == str(answers[5])


def test_it_slides_by_itself_until_somebody_moves_it(open_page, results):
    page = open_page(results / "report.html", reduced_motion="no-preference", clock=True)
    places = []
    for _ in range(60):
        page.clock.run_for(500)  # shorter than it stays at a place
        places.append(page.inner_text("#where"))
    numbers = [
        int(re.search(r"dx ([+\u2212]?\d+)", p).group(1).replace("\u2212", "-")) for p in places
    ]
    assert (min(numbers), max(numbers)) == (-5, 5)
    assert all(abs(a - b) <= 1 for a, b in itertools.pairwise(numbers))
    assert page.inner_text("#said") == ""  # a screen reader is not told of every step
    assert "#" not in page.url
    page.click("#play")
    page.clock.run_for(50)
    still = page.inner_text("#where")
    page.clock.run_for(5000)
    assert page.inner_text("#where") == still
    page.click("#play")
    page.focus("#frame")
    page.keyboard.press("Home")
    page.clock.run_for(5000)
    assert page.inner_text("#where") == "dx 0"
    assert page.inner_text("#play").strip() == "Slide"


def test_it_stands_still_under_reduced_motion(open_page, results):
    page = open_page(results / "report.html", clock=True)
    page.clock.run_for(5000)
    assert page.inner_text("#where") == "dx 0"
    page.click("#play")  # who asks for it gets it
    page.clock.run_for(700)
    assert page.inner_text("#where").startswith("dx +1")
    page.evaluate("document.querySelector('#settings').scrollIntoView()")
    page.locator("#play:not(.on)").wait_for(state="attached")  # out of sight, it stops


def test_the_ruler_and_the_cells_move_the_digit(page):
    page.focus("#ruler")
    page.keyboard.press("ArrowLeft")
    assert where(page).startswith("dx \u22121")
    page.click("#networks [data-model='mlp'] .along li >> nth=9")
    assert where(page).startswith("dx +4")
    assert page.locator("#thumbs .here").get_attribute("data-dx") == "4"


def test_lost_ink_is_shown(page):
    image, _ = shown_image(page)
    page.fill("#dx", "9")
    page.press("#dx", "Enter")
    share = 1 - float(translate(image[None], torch.tensor([(9, 0)])).sum()) / float(image.sum())
    assert where(page) == f"dx +9: {round(100 * share)} % of the ink is lost"
    painted = page.evaluate(
        """() => Array.from(document.getElementById("lost").getContext("2d").getImageData(0, 0, 40, 32).data)
             .filter((_, i) => i % 4 === 3)"""
    )
    alpha = torch.tensor(painted).reshape(32, 40)
    assert not alpha[:, :34].any()  # within the frame, and to its left
    assert torch.equal(alpha[2:30, 34:] > 0, image[:, 19:25] > 0)


# The layers


def activations(model, images):
    """LeNet-5's layers in double precision, by name."""
    x = images[:, None].double() / 255
    c1 = model.c1(x).tanh()
    s2 = torch.nn.functional.avg_pool2d(c1, 2)
    c3 = model.c3(s2).tanh()
    s4 = torch.nn.functional.avg_pool2d(c3, 2)
    c5 = model.c5(s4.flatten(1)).tanh()
    return {"c1": c1, "s2": s2, "c3": c3, "s4": s4, "c5": c5, "f6": model.f6(c5).tanh()}


@torch.no_grad()
def test_layers_are_those_of_the_package(page, results):
    image = load_mnist()[1].images[[0]]
    moved = translate(image, torch.tensor([(3, -1)]))[0]
    for number, name in ((0, "lenet5"), (5, "jittered_lenet5")):
        expected = activations(network(results, name), moved)
        got = page.evaluate("([model]) => lenetshift.layers(model, 0, 3, -1)", [number])
        for layer, values in expected.items():
            assert np.allclose(got[layer], values.numpy().ravel(), atol=2e-6), layer
    blind = mended_network("place_blind").double()
    largest = blind[:8](moved[:, None].double() / 255)
    got = page.evaluate("() => lenetshift.layers(6, 0, 3, -1)")
    assert np.allclose(got["c5"], largest.numpy().ravel(), atol=2e-5)


@pytest.mark.parametrize(
    ("layer", "unit"),
    [("c1", (2, 0, 27)), ("s2", (5, 13, 4)), ("c3", (7, 3, 9)), ("s4", (15, 4, 2))],
)
def test_a_unit_reads_what_its_gradient_says(page, results, layer, unit):
    model = network(results, "lenet5")
    image = torch.rand(1, 28, 28, dtype=torch.float64).mul(255).requires_grad_()
    layers = activations(model, image)
    layers[layer][0][unit].backward()
    rows, columns = (sorted({*found.tolist()}) for found in image.grad[0].nonzero(as_tuple=True))
    found = page.evaluate("(all) => lenetshift.reads(...all)", [0, layer, *unit])
    assert found["image"]["rows"] == [rows[0], rows[-1]]
    assert found["image"]["columns"] == [columns[0], columns[-1]]
    if layer == "c3":
        assert found["s2"]["maps"] == list(model.c3.table[unit[0]])
    if layer == "s4":
        assert found["s2"]["maps"] == list(model.c3.table[unit[0]])
        assert found["c3"] == {"maps": [15], "rows": [8, 9], "columns": [4, 5]}


def test_touching_shows_what_is_read(page):
    rest = page.inner_text("#reads")
    canvas = page.locator("#layers canvas[data-layer=c3]")
    before = canvas.screenshot()
    canvas.hover(position={"x": 10, "y": 10})
    assert page.inner_text("#reads").startswith(
        "C3, map 0: this unit reads maps 0, 1, 2 of S2, which is "
    )
    assert page.locator("#reads-box").is_visible()
    assert canvas.screenshot() != before
    page.mouse.move(2, 2)
    assert page.inner_text("#reads") == rest
    assert page.locator("#reads-box").is_hidden()
    page.focus("#ruler")
    for _ in range(5):  # C1, S2, C3, S4, C5
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.dataset.layer") == "c5":
            break
    page.keyboard.press("ArrowRight")
    assert page.inner_text("#reads").startswith("C5, unit 1: reads all of S4")


def test_how_many_units_have_changed(page, results):
    image, _ = shown_image(page)
    counts = page.locator("#layers .changed")
    assert set(counts.all_inner_texts()) <= {"", "0 of 120 changed", "0 of 84 changed"}
    page.fill("#dx", "5")
    page.press("#dx", "Enter")
    settle(page)
    with torch.no_grad():
        both = translate(image[None], torch.tensor([(0, 0), (5, 0)]))[0]
        found = activations(network(results, "lenet5"), both)
        blind = mended_network("place_blind").double()[:8](both[:, None].double() / 255)
    changed = [int(((v[0] > 0) != (v[1] > 0)).sum()) for v in (found["c5"], found["f6"], blind)]
    said = [text for text in counts.all_inner_texts() if text]
    assert said == [f"{n} of {of} changed" for n, of in zip(changed, (120, 84, 120), strict=True)]
    assert changed[2] < changed[0]


def test_layers_of_another_network(page):
    canvas = page.locator("#layers .chosen canvas[data-layer=c5]")
    before = canvas.screenshot()
    page.select_option("#drawn-network", "jittered_lenet5")
    settle(page)
    assert canvas.screenshot() != before


# Drawing


def stroke(page, *points, release=True):
    box = page.locator("#pad").bounding_box()
    at = [(box["x"] + box["width"] * x, box["y"] + box["height"] * y) for x, y in points]
    page.mouse.move(*at[0])
    page.mouse.down()
    for point in at[1:]:
        page.mouse.move(*point, steps=4)
    if release:
        page.mouse.up()
    settle(page)


def test_drawing_answers_while_the_pen_moves_and_begins_in_the_middle(page):
    page.fill("#dx", "4")
    page.press("#dx", "Enter")
    page.click("#draw summary")
    page.locator("#pad").scroll_into_view_if_needed()
    stroke(page, (0.5, 0.1), (0.45, 0.6), release=False)
    assert page.inner_text("#which") == "Your own digit"
    assert where(page) == "dx 0"
    first = page.evaluate("document.getElementById('frame').toDataURL()")
    page.mouse.move(30, 400, steps=3)
    settle(page)
    assert page.evaluate("document.getElementById('frame').toDataURL()") != first
    page.mouse.up()
    page.focus("#frame")
    page.keyboard.press("ArrowRight")
    stroke(page, (0.2, 0.5), (0.8, 0.5))
    assert where(page).startswith("dx +1")  # the same drawing goes on
    page.select_option("#meant", "4")
    page.click("#clear")
    settle(page)
    assert page.input_value("#meant") == ""
    assert page.inner_text("#which") == "No digit"
    assert where(page) == "dx 0"
    assert {*page.locator("#networks .now .digit").all_inner_texts()} == {"\u2013"}
    assert {*page.locator("#grid-mlp [role=gridcell]").all_inner_texts()} == {"\u2013"}
    assert not page.locator("#networks .right, #networks .wrong").count()
    stroke(page, (0.5, 0.1), (0.5, 0.8))
    assert page.inner_text("#which") == "Your own digit"


# The address


def kept_address(page):
    page.wait_for_function("() => location.hash.startsWith('#explorer?')")
    return page.evaluate("location.hash")


def test_the_address_keeps_what_is_shown(page, open_page, results):
    page.click("fieldset button.take >> nth=1")
    page.fill("#dx", "-3")
    page.press("#dx", "Enter")
    page.select_option("#drawn-network", "biased_lenet5")
    page.wait_for_function("() => location.hash.includes('network')")
    assert kept_address(page) == "#explorer?image=4888&dx=-3&network=biased_lenet5"
    other = open_page(results / "report.html", address=kept_address(page))
    settle(other)
    assert other.inner_text("#which") == "Test image 4888, label 5"
    assert where(other).startswith("dx \u22123")
    assert other.input_value("#drawn-network") == "biased_lenet5"
    other.evaluate("location.hash = '#explorer?image=4017&dy=2'")
    other.locator("#which", has_text="4017").wait_for()
    assert where(other) == "dx 0, dy +2"


@pytest.mark.parametrize("field", ["dx", "number"])
def test_what_is_being_typed_is_not_drawn_over(page, field):
    """Something done before is drawn while a person types."""
    typed = {"dx": "-3", "number": "4888"}[field]
    hold_frames(page)
    page.click("#next")
    page.fill(f"#{field}", typed)
    draw_held(page)
    assert page.input_value(f"#{field}") == typed
    page.press(f"#{field}", "Enter")
    settle(page)
    assert page.input_value(f"#{field}") == typed
    shown = {"dx": where(page), "number": page.inner_text("#which")}[field]
    assert shown.startswith({"dx": "dx \u22123", "number": "Test image 4888"}[field])


def test_one_shift_is_typed_and_the_other_one_kept(page):
    """Also if the other one's field does not show it yet."""
    hold_frames(page)
    page.focus("#frame")
    page.keyboard.press("ArrowDown")
    page.fill("#dx", "2")
    page.press("#dx", "Enter")
    draw_held(page)
    assert where(page) == "dx +2, dy +1"


def test_a_drawing_in_the_address(page, open_page, results):
    page.click("#draw summary")
    page.locator("#pad").scroll_into_view_if_needed()
    stroke(page, (0.3, 0.2), (0.7, 0.4), (0.3, 0.9))
    page.select_option("#meant", "7")
    page.wait_for_function("() => location.hash.includes('label=7')")
    other = open_page(results / "report.html", address=kept_address(page))
    settle(other)
    assert other.inner_text("#which") == "Your own digit, meant as 7"
    pixels = "document.getElementById('frame').toDataURL()"
    assert other.evaluate(pixels) == page.evaluate(pixels)


@pytest.mark.parametrize(
    "address", ["#explorer?image=7777777&dx=99&network=nope", "#explorer?drawing=!!", "#explorer"]
)
def test_an_address_that_says_nothing_is_the_first_picture(open_page, results, address):
    page = open_page(results / "report.html", address=address)
    assert where(page) == "dx 0"
    assert page.inner_text("#which").startswith("Test image ")
    assert page.locator("#slide").evaluate("(e) => e.getBoundingClientRect().top") < WIDE["height"]


def looked_up(results, tmp_path, name):
    """A page that has no forward pass of a network, only the answers of the run."""
    text = (results / "report.html").read_text(encoding="utf-8")
    (kept,) = re.findall(r'id="manifest"[^>]*>(.*?)</script>', text)
    value = json.loads(kept)
    (model,) = [model for model in value["models"] if model["name"] == name]
    model["drawn"] = None
    changed = json.dumps(value, ensure_ascii=False)
    text = text.replace(kept, changed)
    crc = f'data-crc32="{zlib.crc32(kept.encode())}"'
    path = tmp_path / "report.html"
    path.write_text(
        text.replace(crc, f'data-crc32="{zlib.crc32(changed.encode())}"'), encoding="utf-8"
    )
    return path


def test_a_network_whose_answers_are_looked_up(open_page, results, tmp_path):
    page = open_page(looked_up(results, tmp_path, "mlp"))
    row, panel = page.locator('#networks [data-model="mlp"]'), page.locator("#model-mlp")
    index = int(re.search(r"\d+", page.inner_text("#which")).group())
    with np.load(results / "predictions.npz") as arrays:
        saved = arrays["mlp"][arrays["indices"].tolist().index(index)]
    page.wait_for_function("() => document.querySelector('#grid-mlp td[title]') !== null")
    assert panel.locator("[role=gridcell]").all_inner_texts() == [str(a) for a in saved.ravel()]
    assert row.locator(".along li span:first-child").all_inner_texts() == [str(a) for a in saved[2]]
    assert row.locator(".now .digit").inner_text() == str(saved[2, 5])
    assert panel.locator(".bars").is_hidden()
    page.fill("#dx", "6")
    page.press("#dx", "Enter")
    settle(page)
    assert row.locator(".now .digit").inner_text() == "\u2013"
    assert page.locator('#networks [data-model="lenet5"] .now .digit').inner_text() != "\u2013"
