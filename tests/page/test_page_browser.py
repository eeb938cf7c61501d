"""``report.html`` in a real browser: that it works, and that its answers are the package's."""

import itertools
import re

import numpy as np
import pytest
import torch
from browser import PHONE, browser, open_page, results
from command_line import run
from page_answers import GRID, MENDED_NAMES, check_answers, logits_of, network

from lenetshift import ShiftGrid
from lenetshift.data.load import load_mnist
from lenetshift.models.table import side_by_side
from lenetshift.reference import translate

pytestmark = pytest.mark.slow

RUN = [spec.name for spec in side_by_side()]
MODELS = [*RUN, *MENDED_NAMES]
N_COMPARED = 200


@pytest.fixture(scope="module")
def images(results):
    """The page's images, row by row: those of the tables, then the figures'."""
    with np.load(results / "predictions.npz") as arrays:
        rows = [*arrays["indices"].tolist(), 4017, 4888, 5392, 8655]
    return load_mnist()[1].images[rows]


def test_answers_are_those_of_the_package(page, results, images):
    assert page.evaluate("lenetshift.models") == MODELS
    assert page.evaluate("lenetshift.rows") == len(images) == 1004
    assert check_answers(page, results, images, GRID, N_COMPARED) < 10


@pytest.mark.parametrize("name", MODELS)
def test_logits_far_beyond_the_grid(page, results, images, name):
    shifts = [(0, 0), (28, 0), (-28, 28), (27, -27), (-20, 13), (9, -11), (-1, 26)]
    got = page.evaluate(
        """([model, shifts]) => Array.from({ length: 20 }, (_, row) =>
             shifts.map(([dx, dy]) => lenetshift.logits(model, row, dx, dy)))""",
        [MODELS.index(name), shifts],
    )
    expected = logits_of(network(results, name), images[:20], shifts)
    # The MLP sums 784 products, each of at most 1 here; a float32 sum rounds each. The weights of the
    # networks that come with the package are larger.
    bound = 784 * torch.finfo(torch.float32).eps * (4 if name in MENDED_NAMES else 1)
    assert (torch.tensor(got).double() - expected).abs().max() < bound


def test_images_with_ink_at_the_edge_are_moved(page):
    """MNIST's edges are black, so they would hide a missing column."""
    image = torch.randint(1, 256, (28, 28), dtype=torch.uint8)
    shifts = list(itertools.product((-28, -27, -5, 0, 1, 27, 28), (-28, -27, -1, 0, 5, 27, 28)))
    got = page.evaluate(
        "([image, shifts]) => shifts.map(([dx, dy]) => lenetshift.moved(image, dx, dy))",
        [image.flatten().tolist(), shifts],
    )
    moved = translate(image[None], torch.tensor(shifts))[0]
    assert torch.equal(pictures(got), moved)


def pictures(values):
    """uint8 [N, 28, 28] of numbers from the page."""
    return torch.tensor(values, dtype=torch.uint8).reshape(-1, 28, 28)


def drawn_on(page, canvases):
    """The pictures on the page's canvases that a selector finds, uint8 [N, 28, 28]."""
    red = page.locator(canvases).evaluate_all(
        """(all) => all.map((canvas) => Array.from(canvas.getContext("2d")
             .getImageData(0, 0, 28, 28).data).filter((_, i) => i % 4 === 0))"""
    )
    return pictures(red)


def frame_pixels(page):
    """The frame's picture, uint8 [28, 28]."""
    return drawn_on(page, "#frame")[0]


def settle(page):
    """Wait until the page has drawn."""
    page.evaluate(
        "() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))"
    )


def check_shown(page, results, image, label, shift):
    """The frame shows the moved image, every model's panel that model's answer to it."""
    settle(page)
    assert (page.input_value("#dx"), page.input_value("#dy")) == tuple(map(str, shift))
    assert torch.equal(frame_pixels(page), translate(image[None], torch.tensor([shift]))[0, 0])
    for name in MODELS:
        logits = logits_of(network(results, name), image[None], [shift])[0, 0]
        answer, shares = int(logits.argmax()), logits.softmax(0)
        panel = page.locator(f"#model-{name}")
        assert panel.locator(".digit").inner_text() == str(answer)
        mark = "" if label is None else "\u2713" if answer == label else "\u2717"
        assert panel.locator(".mark").inner_text() == mark
        said = panel.locator(".bars .value").all_text_contents()
        values = [float(re.fullmatch(r": ([\d.]+) %", text).group(1)) for text in said]
        assert np.allclose(values, 100 * shares.numpy(), atol=0.06)
        heights = panel.locator(".bars i").evaluate_all(
            "(bars) => bars.map((bar) => bar.getBoundingClientRect().height / bar.offsetHeight)"
        )
        assert np.allclose(heights, shares.numpy(), atol=0.01)
        selected = panel.locator('[aria-selected="true"]')
        if shift[0] in GRID.dx and shift[1] in GRID.dy:
            row, column = GRID.index(*shift)
            assert selected.get_attribute("data-row") == str(row)
            assert selected.get_attribute("data-column") == str(column)
        else:
            assert selected.count() == 0


FIRST = 1000  # the row of test image 4017


@pytest.fixture
def page(open_page, results):
    """The page with the report's first image, test image 4017."""
    page = open_page(results / "report.html")
    take(page, 0)
    return page


def take(page, number):
    """Choose one of the report's images."""
    page.click(f"fieldset button.take >> nth={number}")
    settle(page)


def test_it_shows_a_figures_image(page, results, images):
    assert page.inner_text("#which") == "Test image 4017, label 4"
    check_shown(page, results, images[FIRST], 4, (0, 0))
    assert page.locator("#loading").is_hidden()
    assert page.locator("#problem").is_hidden()
    with np.load(results / "predictions.npz") as arrays:
        saved = arrays["figure_predictions"][0].ravel()
    cells = page.locator("#grid-biased_lenet5 [role=gridcell]")
    assert cells.all_inner_texts() == [str(answer) for answer in saved]
    right = cells.evaluate_all("(cells) => cells.map((cell) => cell.classList.contains('right'))")
    assert right == (saved == 4).tolist()
    labels = cells.evaluate_all("(cells) => cells.map((cell) => cell.ariaLabel)")
    verdict = "right" if saved[0] == 4 else "wrong"
    assert labels[0] == f"{saved[0]} {verdict} at dx \u22125, dy \u22122"


def test_figures_are_drawn(page, images):
    expected = translate(images[FIRST + 1][None], GRID.shifts())[0]
    assert torch.equal(drawn_on(page, "#figure-2 canvas"), expected)


def scroll_to_frame(page):
    """Show the frame; the coordinates of its centre and the width of one of its pixels."""
    frame = page.locator("#frame")
    frame.scroll_into_view_if_needed()
    box = frame.bounding_box()
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["width"] / 28


def test_drag_with_the_mouse(page, results, images):
    x, y, pixel = scroll_to_frame(page)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 3 * pixel, y - pixel, steps=5)
    check_shown(page, results, images[FIRST], 4, (3, -1))
    page.mouse.move(x + 11.2 * pixel, y + 7 * pixel, steps=5)
    check_shown(page, results, images[FIRST], 4, (11, 7))
    page.mouse.up()
    page.mouse.move(x, y)  # no button is down: nothing moves
    check_shown(page, results, images[FIRST], 4, (11, 7))
    # A second drag goes on from there, until the digit has left the frame.
    page.mouse.down()
    page.mouse.move(x + 40 * pixel, y, steps=3)
    page.mouse.up()
    check_shown(page, results, images[FIRST], 4, (28, 7))
    assert not frame_pixels(page).any()


def test_drag_with_a_finger(open_page, results, images):
    page = open_page(results / "report.html", viewport=PHONE, has_touch=True, is_mobile=True)
    take(page, 0)
    x, y, pixel = scroll_to_frame(page)
    scrolled = page.evaluate("scrollY")
    session = page.context.new_cdp_session(page)

    def touch(kind, *points):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": list(points)})

    touch("touchStart", {"x": x, "y": y})
    for step in range(1, 6):
        touch("touchMove", {"x": x - step * pixel, "y": y + step * pixel})
    touch("touchEnd")
    check_shown(page, results, images[FIRST], 4, (-5, 5))
    assert page.evaluate("scrollY") == scrolled  # the digit moved, not the page


def test_keys(page, results, images):
    page.focus("#frame")
    for key in ("ArrowRight", "ArrowRight", "ArrowUp", "Shift+ArrowLeft", "Shift+ArrowDown"):
        page.keyboard.press(key)
    check_shown(page, results, images[FIRST], 4, (-3, 4))
    page.keyboard.press("Home")
    check_shown(page, results, images[FIRST], 4, (0, 0))
    page.keyboard.press("ArrowDown")
    page.locator("#said", has_text="dx 0, dy +1. ").wait_for(state="attached")
    said = page.inner_text("#said").split(". ", 1)[1].split("; ")
    assert len(said) == 5  # the networks of the first picture
    assert re.fullmatch(r"LeNet.5: \d, (right|wrong)", said[0])


def test_place_by_number(page, results, images):
    page.fill("#dx", "-7")
    page.press("#dx", "Enter")
    settle(page)
    page.fill("#dy", "400")
    page.press("#dy", "Enter")
    check_shown(page, results, images[FIRST], 4, (-7, 28))
    page.click("#centre")
    check_shown(page, results, images[FIRST], 4, (0, 0))
    page.click("button.go >> nth=0")
    check_shown(page, results, images[FIRST], 4, (3, 0))


def test_a_grids_cells_by_mouse_and_keys(page, results, images):
    page.click("#grid-mlp [data-row='0'][data-column='10']")
    check_shown(page, results, images[FIRST], 4, (5, -2))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowRight")  # there is none
    page.keyboard.press("ArrowLeft")
    check_shown(page, results, images[FIRST], 4, (4, -1))
    page.keyboard.press("Home")
    check_shown(page, results, images[FIRST], 4, (-5, -1))
    focused = "[document.activeElement.dataset.row, document.activeElement.dataset.column]"
    assert page.evaluate(focused) == ["1", "0"]
    reached = page.locator("#grid-mlp [tabindex='0']")
    assert reached.count() == 1  # one stop for Tab
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('table').id") == "grid-pooled_mlp"


def test_everything_is_reached_by_tab(page):
    page.evaluate("document.activeElement.blur()")
    page.click("#draw summary")
    page.evaluate(
        "window.scrollTo(0, 0); document.activeElement.blur(); getSelection().removeAllRanges()"
    )
    page.locator("a.skip").focus()
    reached = set()
    for _ in range(200):
        reached.add(page.evaluate("document.activeElement.id || document.activeElement.className"))
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement === document.body"):
            break
    wanted = "skip frame dx dy centre number label previous next random"
    assert {*wanted.split(), "hardest", "pad", "clear", "meant", "take", "go"} <= reached
    in_grids = page.locator("[role=grid] [tabindex='0']").count()
    assert (
        in_grids == page.locator("[role=grid]").count() == 5 + 7
    )  # maps, and all networks' answers


def test_choosing_an_image(page, results, images):
    labels = load_mnist()[1].labels
    page.fill("#number", "120")
    page.press("#number", "Enter")
    check_shown(page, results, images[12], int(labels[120]), (0, 0))
    page.fill("#number", "121")  # not in the subset
    page.press("#number", "Enter")
    assert page.inner_text("#pick-said") == "This page does not contain test image 121."
    page.select_option("#label", "7")
    sevens = [index for index in range(0, 10_000, 10) if labels[index] == 7]
    following = [index for index in sevens if index > 120]

    def shown():
        settle(page)
        return int(re.fullmatch(r"Test image (\d+), label \d", page.inner_text("#which")).group(1))

    assert shown() == following[0]
    page.click("#next")
    assert shown() == following[1]
    page.click("#previous")
    page.click("#previous")
    assert shown() == max(index for index in sevens if index < 120)
    assert page.inner_text("#pick-said") == ""
    page.click("#random")
    assert labels[shown()] == 7
    seen = set()
    page.select_option("#label", "")
    for _ in range(12):
        page.click("#random")
        seen.add(shown())
    assert len(seen) > 6
    take(page, 2)
    assert shown() == 5392


def test_the_hardest_images(page, results, images):
    with np.load(results / "predictions.npz") as arrays:
        labels, indices = arrays["labels"][:, None, None], arrays["indices"]
        right = sum((arrays[name] == labels).sum((1, 2)) for name in RUN)
    order = np.sort(right)
    for rank in range(3):
        page.click("#hardest")
        settle(page)
        index = int(page.input_value("#number"))
        if index in indices:  # the figures' four are not in the subset
            assert right[indices.tolist().index(index)] == order[rank]
            said = f"Number {rank + 1} of the hardest: {order[rank]} of 275 answers in the run"
            assert page.inner_text("#pick-said") == f"{said} are right."


def test_a_map_lists_what_is_wrong_and_leads_on(page, results, images):
    with np.load(results / "predictions.npz") as arrays:
        answers, labels, indices = arrays["mlp"], arrays["labels"], arrays["indices"]
    row, column = GRID.index(3, -1)
    wrong = (answers[:, row, column] != labels).nonzero()[0]
    assert len(wrong) > 100
    page.click(f"#map-mlp [data-row='{row}'][data-column='{column}']")
    title = f"MLP at dx +3, dy \u22121: {len(wrong)} of 1,000 test images wrong"
    assert page.inner_text("#wrong-title") == title
    box, height = page.locator("#wrong-title").bounding_box(), page.viewport_size["height"]
    assert 0 <= box["y"] <= height - box["height"], "the list is out of sight"
    listed = []
    for number in range(1, 1 + -(-len(wrong) // 48)):
        assert page.inner_text("#wrong-page") == f"page {number} of {-(-len(wrong) // 48)}"
        buttons = page.locator("#wrong-images button")
        listed += buttons.evaluate_all("(all) => all.map((button) => Number(button.dataset.index))")
        if page.locator("#wrong-after").is_enabled():
            page.click("#wrong-after")
    assert listed == indices[wrong].tolist()
    page.click("#wrong-before")
    page.locator("#wrong-images button").nth(2).click()
    taken = wrong[48 * (len(wrong) // 48 - 1) + 2] if len(wrong) % 48 else wrong[-94]
    check_shown(page, results, images[taken], int(labels[taken]), (3, -1))
    assert page.evaluate("document.activeElement.id") == "frame"
    assert page.locator("#frame").evaluate("(e) => e.getBoundingClientRect().top < innerHeight")


def test_a_map_by_keys(page):
    page.focus("#map-lenet5 [tabindex='0']")
    page.keyboard.press("ArrowRight")
    assert page.locator("#wrong").is_hidden()
    page.keyboard.press("Enter")
    assert page.inner_text("#wrong-title").startswith(
        "LeNet\N{NON-BREAKING HYPHEN}5 at dx +1, dy 0: "
    )
    page.keyboard.press("ArrowUp")
    page.keyboard.press(" ")
    assert page.inner_text("#wrong-title").startswith(
        "LeNet\N{NON-BREAKING HYPHEN}5 at dx +1, dy \u22121: "
    )


def test_drawing(page, results, images):
    page.click("#draw summary")
    pad = page.locator("#pad")
    pad.scroll_into_view_if_needed()
    box = pad.bounding_box()
    x, y = box["x"] + box["width"] * 0.3, box["y"] + 20
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 30, y + 200, steps=8)
    page.mouse.up()
    settle(page)
    assert page.inner_text("#which") == "Your own digit"
    drawn = frame_pixels(page)
    ys = drawn.nonzero()[:, 0]
    assert int(ys.max() - ys.min()) == 19  # 20 pixels high
    mass = drawn.double()
    for axis in (0, 1):
        centre = float((mass.sum(1 - axis) * torch.arange(28)).sum() / mass.sum())
        assert abs(centre - 14) < 0.51
    check_shown(page, results, drawn, None, (0, 0))
    page.select_option("#meant", "1")
    settle(page)
    assert page.inner_text("#which") == "Your own digit, meant as 1"
    check_shown(page, results, drawn, 1, (0, 0))
    # It can be moved, and the grids are filled by forward passes.
    page.focus("#frame")
    page.keyboard.press("ArrowLeft")
    check_shown(page, results, drawn, 1, (-1, 0))
    last = "#grid-place_blind td[data-row='4'][data-column='10'][title*='forward pass']"
    page.locator(last).wait_for(state="attached")
    for name in MODELS:
        logits = logits_of(network(results, name), drawn[None], GRID.shifts().tolist())[0]
        cells = page.locator(f"#grid-{name} [role=gridcell]").all_inner_texts()
        assert cells == [str(int(answer)) for answer in logits.argmax(-1)]


def test_drawing_by_keys_and_clearing(page):
    page.click("#draw summary")
    page.focus("#pad")
    page.keyboard.press("Space")
    for _ in range(10):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Space")
    settle(page)
    assert page.inner_text("#which") == "Your own digit"
    assert frame_pixels(page).any()
    page.click("#clear")
    blank = """() => document.getElementById("pad").getContext("2d")
        .getImageData(0, 0, 280, 280).data.every((value, i) => i % 4 === 3 || value === 0)"""
    assert page.evaluate(blank)


def like_mnist(page, ink):
    """The page's version of drawn ink, uint8 [H, W], as a list."""
    height, width = ink.shape
    of = f"([ink]) => lenetshift.likeMnist(ink, {width}, {height})"
    return page.evaluate(of, [ink.flatten().tolist()])


def test_an_mnist_image_drawn_again_is_itself(page, images):
    """Each pixel drawn as a square of 10: scaling and centring must give the original image."""
    same = 0
    for image in images[:60]:
        ys, xs = image.nonzero().T
        height, width = (int(v.max() - v.min()) + 1 for v in (ys, xs))
        edges = torch.cat([image[0], image[-1], image[:, 0], image[:, -1]])
        if max(height, width) != 20 or edges.any():
            continue
        large = image.repeat_interleave(10, 0).repeat_interleave(10, 1)
        shifted = large.roll((-7, 3), (0, 1))  # where it was drawn makes no difference
        assert torch.equal(pictures(like_mnist(page, shifted))[0], image)
        same += 1
    assert same > 30


def test_a_dot_and_nothing(page):
    ink = torch.zeros(40, 60, dtype=torch.uint8)
    assert like_mnist(page, ink) == []
    ink[5, 7] = 255
    dot = pictures(like_mnist(page, ink))[0]
    assert int((dot == 255).sum()) == 400
    ink[5, 7:40] = 255  # a line: 20 wide, one high
    line = pictures(like_mnist(page, ink))[0]
    assert (line > 0).any(1).sum() == 1
    assert (line > 0).sum() == 20


@pytest.mark.parametrize(
    ("options", "grid"),
    [
        ("--activation relu --models symmetric_lenet5,lenet5,pooled_mlp,mlp", GRID),
        ("--dx -1 2 --dy 0 0 --bias 4:-2,+1", ShiftGrid(range(-1, 3), range(1))),
        (
            "--dx -12 12 --dy -9 9 --models pooled_mlp",
            ShiftGrid(range(-12, 13), range(-9, 10)),
        ),
    ],
)
def test_other_settings(open_page, small, tmp_path, options, grid):
    out = tmp_path / "results"
    assert run("reproduce", "--data", small, "--out", out, *options.split())[0] == 0
    page = open_page(out / "report.html")
    images = load_mnist(small)[1].images
    check_answers(page, out, images, grid, 20)
    assert re.fullmatch(r"Test image \d+, label \d", page.inner_text("#which"))
    page.set_viewport_size(PHONE)
    assert page.evaluate("document.documentElement.scrollWidth") <= 360


def test_training_that_diverged_shows_no_numbers(open_page, small, tmp_path):
    options = ("--models", "pooled_mlp", "--epochs", 1, "--learning-rate", 1e38)
    assert run("reproduce", "--data", small, "--out", tmp_path, *options)[0] == 0
    page = open_page(tmp_path / "report.html")
    assert page.inner_text("#model-pooled_mlp .share") == "not a number"
    assert "(diverged)" in page.inner_text("#model-pooled_mlp h3")
    saved = page.evaluate("lenetshift.saved(0, 0)")
    assert page.evaluate("lenetshift.answer(0, 0, 0, 0)") == saved[27]
