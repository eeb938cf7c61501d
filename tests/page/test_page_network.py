"""The page of one network as a file: what it says, what it holds, what it refuses. No browser is needed."""

import re
from collections import Counter

import numpy as np
import pytest
import torch
from command_line import run, write_checkpoint
from image_files import pixels, write_images
from network_pages import GRID, PageFile, made_up

import lenetshift
from lenetshift import Evaluation, ShiftGrid, evaluate_shifts
from lenetshift.metrics import page as made
from lenetshift.page.network import render
from lenetshift.page.network.contents import places_of


def page_of(evaluation, tmp_path, images=None):
    evaluation.page(tmp_path / "net.html", images)
    return PageFile(tmp_path / "net.html")


def anyone(x):
    """A network that answers by the sum of the pixels."""
    return torch.nn.functional.one_hot((x.sum((1, 2, 3)) * 7).long() % 5, 5).float()


def percent(value):
    return f"{100 * value:.1f} %"


# What it says


def test_numbers_are_those_of_the_evaluation(tmp_path):
    evaluation = made_up(name="Net")
    page = page_of(evaluation, tmp_path)
    for name in ("unmoved_accuracy", "moved_accuracy", "worst_case_accuracy"):
        assert percent(evaluation.metric(name).value) in page.text, name
    cells = [cell for cell in page.all("td") if str(cell.get("class", "")).startswith("v")]
    said = np.array([int(str(cell["aria-label"]).split(" ")[0]) for cell in cells])
    accuracy = evaluation.accuracy_map()
    assert np.array_equal(said.reshape(GRID.shape), np.rint(100 * accuracy))
    right = page.numbers("right", *GRID.shape)
    assert np.array_equal(right / len(evaluation), accuracy)
    row, column = np.unravel_index(accuracy.argmin(), accuracy.shape)
    place = f"({GRID.dx[column]:+d}, {GRID.dy[row]:+d})".replace("-", "\N{MINUS SIGN}")
    place = place.replace("+0", "0")
    assert f"The hardest shift is {place}: {percent(accuracy.min())} right" in page.text
    buttons = [button for button in page.all("button") if button.get("class") == "quiet to-shift"]
    hardest = [(int(button["data-row"]), int(button["data-column"])) for button in buttons]
    assert [accuracy[at] for at in hardest] == sorted(accuracy.ravel())[:6]
    for line in evaluation.rows():
        if line.value is not None:
            low, high = evaluation.interval(line.name)
            shown = f"{100 * line.value:.1f} % {100 * low:.1f} to {100 * high:.1f}"
            assert shown in page.text, line.name


def test_confusions_are_counted(tmp_path):
    evaluation = made_up(share=0.7)
    page = page_of(evaluation, tmp_path)
    confusion = evaluation.confusion()
    everywhere = confusion.counts.sum((0, 1))
    np.fill_diagonal(everywhere, 0)
    for row, column in np.ndindex(GRID.shape):
        counts = confusion.counts[row, column].copy()
        np.fill_diagonal(counts, 0)
        taken = page.taken(row, column)
        assert [n for _, _, n in taken] == sorted(counts[counts > 0], reverse=True)[:8]
        for label, answer, n in taken:
            assert counts[confusion.names.index(label), confusion.names.index(answer)] == n
    assert f" {everywhere.max()} " in page.text.split("Over all 21 shifts")[1]


def test_answers_labels_and_pictures_are_those_of_the_images(tmp_path):
    evaluation = made_up(size=(3, 12, 10), class_names=[f"class {i}" for i in range(10)])
    page = page_of(evaluation, tmp_path)
    m = page.manifest
    assert m["numbers"] == list(range(40))
    names = np.array(evaluation.class_names)
    assert np.array_equal(page.answers, names[evaluation.predictions.numpy()])
    assert np.array_equal(np.array(m["names"])[m["labels"]], names[evaluation.labels.numpy()])
    assert np.array_equal(page.pictures, np.moveaxis(evaluation.images.numpy(), 1, 3))


def test_the_hardest_images_and_some_at_random(tmp_path, monkeypatch):
    monkeypatch.setattr(made, "MOST_IMAGES", 50)
    evaluation = made_up(400)
    page = page_of(evaluation, tmp_path)
    m = page.manifest
    right = (evaluation.predictions == evaluation.labels[:, None, None]).numpy()
    n_right = right.sum((1, 2))
    unmoved = right[:, 1, 3]
    assert len(m["numbers"]) == 50
    for which, among in (("lost", unmoved & (n_right < 21)), ("wrong", ~unmoved)):
        gallery = page.source.split("<h3>")[1 if which == "lost" else 2]
        shown = [int(n) for n in re.findall(r'image=(\d+)"', gallery)]
        expected = np.flatnonzero(among)[np.argsort(n_right[among], kind="stable")][: len(shown)]
        assert len(shown) >= 8
        assert shown == expected.tolist(), which
    assert sum(n_right[m["numbers"]] == 21) >= 3  # not only hard ones
    first = m["numbers"][m["first"]]
    assert unmoved[first]
    assert not right[first, 1].all()


def test_names_are_text(tmp_path):
    names = [f'<script>alert("{i}")</script> & </style>' for i in range(10)]
    page = page_of(made_up(name="<b>net</b>", class_names=names, reason="<i>why</i>"), tmp_path)
    assert "<b>net</b>" not in page.source
    assert "<script>alert" not in page.source
    assert "How robust is <b>net</b> to moving the image?" in page.text
    assert names[0] in page.text
    assert page.manifest["names"] == names
    scripts = [attributes.get("type") for attributes in page.all("script")]
    assert scripts == ["application/json", *["application/gzip;base64"] * 4, "module"]
    assert {tag for tag, _ in page.elements}.isdisjoint({"i>why", "iframe", "object", "link rel"})


def test_it_asks_for_nothing(tmp_path):
    page = page_of(made_up(), tmp_path)
    policy = next(m["content"] for m in page.all("meta") if m.get("http-equiv"))
    for part in ("default-src 'none'", "img-src data:", "trusted-types 'none'", "base-uri 'none'"):
        assert part in policy
    addresses = [a.get(key) for _, a in page.elements for key in ("src", "href") if a.get(key)]
    assert all(address.startswith(("data:image/", "#")) for address in addresses)
    assert not any(
        "style" in attributes for _, attributes in page.elements
    )  # the policy forbids it


def test_a_network_that_is_always_right(tmp_path):
    page = page_of(made_up(share=0), tmp_path)
    assert "Every answer is right, at every shift." in page.text
    assert "There are none: every image is answered right at every shift." in page.text
    assert "There are none: every answer is right." in page.text
    assert "The hardest shifts" not in page.text
    assert page.text.count("100.0 % ") >= 3


def test_100_and_0_per_cent_only_if_that_is_exact(tmp_path):
    evaluation = made_up(3000, share=0, images=None)
    evaluation.predictions[5, 0, 0] = 3 if evaluation.labels[5] != 3 else 4
    page = page_of(evaluation, tmp_path)
    assert "over 99.9 %" in page.text.split("of images right at every shift")[1][:20]
    evaluation.predictions[:] = 11
    evaluation.predictions[5] = evaluation.labels[5]
    page = page_of(evaluation, tmp_path)
    assert "under 0.1 %" in page.text.split("of images right at every shift")[1][:20]


@pytest.mark.parametrize(
    ("grid", "as_table", "places"),
    [
        (ShiftGrid(range(-10, 11), range(-10, 11)), False, 21),
        (ShiftGrid(range(-30, 31), range(1)), False, 21),
        (ShiftGrid(range(-33, 30), range(1)), False, 16),
        (ShiftGrid(range(-6, 7, 3), range(-2, 3, 2)), True, 5),
        (ShiftGrid(range(1), range(-4, 5)), True, 9),
        (ShiftGrid(range(2, 5), range(3, 7)), True, 3),
        (ShiftGrid(range(1), range(1)), True, 1),
    ],
)
def test_grids_of_every_shape(tmp_path, grid, as_table, places):
    page = page_of(made_up(30, grid=grid, size=(40, 40)), tmp_path)
    assert len(page.manifest["places"]) == len(places_of(grid)) == places
    tables = [table for table in page.all("table") if table.get("role") == "grid"]
    assert len(tables) == (2 if as_table else 0)
    assert page.answers.shape[1:] == grid.shape
    assert ("right, unmoved" in page.text) == grid.has_centre
    assert ("Wrong at some shifts" in page.text) == (not grid.has_centre)
    if grid.has_centre:
        assert list(grid.index(0, 0)) in page.manifest["places"]


def test_a_thousand_classes(tmp_path):
    rng = np.random.default_rng(1)
    labels = rng.integers(0, 1000, 300)
    predictions = np.repeat(labels, 21).reshape(300, 3, 7)
    predictions[rng.random(predictions.shape) < 0.5] = 999
    page = page_of(Evaluation(predictions, labels, GRID), tmp_path)
    pairs = Counter(
        (str(label), str(answer))
        for label, answers in zip(labels, predictions, strict=True)
        for answer in answers.ravel()
        if answer != label
    )
    text = page.text.split("Over all 21 shifts")[1].split("The hardest shifts")[0]
    shown = re.findall(r"(\d+) → (\d+) ([\d,]+)", text)
    assert [int(n) for _, _, n in shown] == sorted(pairs.values(), reverse=True)[:8]
    assert all(pairs[a, b] == int(n) for a, b, n in shown)


def test_labels_that_are_no_class(tmp_path):
    evaluation = made_up()
    labels = evaluation.labels.clone()
    labels[:5] = -1
    labels[5:9] = 2**40
    page = page_of(
        Evaluation(evaluation.predictions, labels, GRID, class_names=["a", "b"]), tmp_path
    )
    assert {"-1", str(2**40), "a", "b", "2"} <= set(page.manifest["names"])


def test_the_same_call_writes_the_same_page(tmp_path):
    first = page_of(made_up(300), tmp_path).source
    assert page_of(made_up(300), tmp_path).source == first


# Which images


@pytest.fixture(scope="module")
def colours():
    return torch.from_numpy(pixels(12, 3, 10, 8)), torch.arange(12) % 5


@pytest.mark.parametrize(
    "form",
    [
        lambda images, labels: images,
        lambda images, labels: images.numpy(),
        lambda images, labels: [(images[:5], labels[:5]), (images[5:], labels[5:])],
        lambda images, labels: ((images[i : i + 1], labels[i : i + 1]) for i in range(12)),
        lambda images, labels: [{"pixel_values": images, "labels": labels}],
        lambda images, labels: torch.utils.data.TensorDataset(images, labels),
        lambda images, labels: torch.utils.data.DataLoader(
            torch.utils.data.TensorDataset(images, labels), 5
        ),
    ],
)  # fmt: skip
def test_images_of_any_container(tmp_path, colours, form):
    images, labels = colours
    grid = ShiftGrid(range(-1, 2), range(1))
    evaluation = evaluate_shifts(
        anyone, [(images[:7], labels[:7]), (images[7:], labels[7:])], grid=grid
    )
    page = page_of(evaluation, tmp_path, form(images, labels))
    assert np.array_equal(page.pictures, images.movedim(1, 3).numpy())


def test_images_of_a_dataset(tmp_path):
    digits = lenetshift.load_mnist()[1].subset(5)
    with pytest.warns(UserWarning, match="labels"):
        evaluation = evaluate_shifts(anyone, [(digits.images, digits.labels)], grid=GRID)
    page = page_of(evaluation, tmp_path, digits)
    assert np.array_equal(page.pictures, digits.images.numpy())


def test_batches_are_not_kept_and_the_page_says_so(tmp_path, colours):
    images, labels = colours
    evaluation = evaluate_shifts(anyone, [(images, labels)], grid=GRID)
    page = page_of(evaluation, tmp_path)
    assert "This page has no pictures" in page.text
    assert page.manifest["frame"] is None
    assert page.block("pictures") == b""
    assert not page.all("img")


def test_an_evaluation_from_a_file(tmp_path, colours):
    evaluation = evaluate_shifts(anyone, *colours, GRID, name="Net")
    evaluation.save(tmp_path / "net.npz")
    loaded = Evaluation.load(tmp_path / "net.npz")
    with_images = page_of(loaded, tmp_path, colours[0]).source
    assert with_images == page_of(evaluation, tmp_path).source
    assert "This page has no pictures" in page_of(loaded, tmp_path).text


def test_what_is_shown_was_not_transformed(tmp_path):
    images = torch.rand(9, 3, 8, 8)
    normalize = lenetshift.Normalize((0.5, 0.5, 0.5), (0.1, 0.2, 0.3))
    labels = torch.zeros(9, dtype=torch.int64)
    evaluation = evaluate_shifts(anyone, images, labels, GRID, transform=normalize, fill=0.25)
    page = page_of(evaluation, tmp_path)
    expected = (255 * images.double()).round().to(torch.uint8).movedim(1, 3)
    assert np.array_equal(page.pictures, expected.numpy())
    assert page.manifest["frame"]["fill"] == "rgb(64, 64, 64)"


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.float16, torch.bfloat16])
def test_pixels_outside_0_to_1_are_scaled_together(tmp_path, dtype):
    images = torch.linspace(-2, 3, 6 * 16).reshape(6, 1, 4, 4).to(dtype)
    evaluation = made_up(6, images=images, fill=-2.5, grid=ShiftGrid(range(-1, 2), range(1)))
    page = page_of(evaluation, tmp_path)
    expected = np.rint((images[:, 0].double().numpy() + 2.5) / 5.5 * 255)
    assert np.array_equal(page.pictures, expected)
    assert page.manifest["frame"]["fill"] == "rgb(0, 0, 0)"


def test_two_channels_are_shown_as_their_mean(tmp_path):
    images = torch.from_numpy(pixels(4, 2, 6, 6))
    page = page_of(made_up(4, images=images, fill=(10, 30)), tmp_path)
    assert np.array_equal(page.pictures, np.rint(images.numpy().mean(1)))
    assert page.manifest["frame"]["fill"] == "rgb(20, 20, 20)"


def test_what_the_network_sees(tmp_path):
    page = page_of(made_up(size=(3, 20, 21), crop=(10, 12)), tmp_path)
    assert page.manifest["window"] == [10, 12]
    assert page.manifest["frame"] == {"scale": 1.0, "top": 5, "left": 4, "fill": "rgb(0, 0, 0)"}
    page = page_of(made_up(fill="circular"), tmp_path)
    assert page.manifest["frame"]["fill"] is None


def test_large_images_are_reduced_and_fewer(tmp_path, monkeypatch):
    evaluation = made_up(8, size=(3, 600, 400))
    page = page_of(evaluation, tmp_path)
    assert page.pictures.shape == (8, 288, 192, 3)
    assert page.manifest["window"] == [288, 192]
    assert "Pictures are smaller than what the network saw, and compressed." in page.text
    compressed = page_of(made_up(3, size=(200, 150)), tmp_path)
    assert compressed.pictures.shape == (3, 200, 150)
    assert "Pictures are compressed: single pixels may differ" in compressed.text
    assert "Pictures are" not in page_of(made_up(3, size=(128, 9)), tmp_path).text
    monkeypatch.setattr(render, "MOST_BYTES", len(page.source) * 2 // 3)
    smaller = page_of(evaluation, tmp_path)
    assert len(smaller.source) <= render.MOST_BYTES
    assert 3 <= len(smaller.manifest["numbers"]) < 8
    m, of = smaller.manifest, page.manifest
    assert m["numbers"][m["first"]] == of["numbers"][of["first"]]
    kept = [of["numbers"].index(number) for number in m["numbers"]]
    assert np.array_equal(smaller.pictures, page.pictures[kept])
    assert np.array_equal(smaller.answers, page.answers[kept])


@pytest.mark.slow
def test_200_images_of_noise_stay_below_8_megabytes(tmp_path):
    page = page_of(made_up(220, size=(3, 224, 224)), tmp_path)
    assert 5_000_000 < len(page.source.encode()) < 8_000_000
    assert 100 < len(page.manifest["numbers"]) <= 200


# What it refuses


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (lambda i, t: i[:11], r"images: got 11, expected 12, as were evaluated"),
        (lambda i, t: [(i[:5], t[:5])], r"images: got 5, expected 12, as were evaluated"),
        (
            lambda i, t: [(i, t), (i, t)],
            r"images: got more than 12, expected 12, as were evaluated",
        ),
        (lambda i, t: i.flip(0), r"images: got others than were evaluated \(their SHA-256 differs\)"),
        (lambda i, t: i.float() / 255, r"images: got others than were evaluated"),
        (lambda i, t: [(i, t.flip(0))], r"images: got label 1 of image 0, expected 0, as was eval"),
        (lambda i, t: i[:, :, :2], r"images: got others than were evaluated"),
        (lambda i, t: [], r"an iterable of 0 batches"),
        (lambda i, t: "images/", r"images: got "),
        (lambda i, t: 3, r"images: got 3?"),
    ],
)  # fmt: skip
def test_other_images_are_refused(tmp_path, colours, images, message):
    evaluation = evaluate_shifts(anyone, *colours, GRID)
    (tmp_path / "net.html").write_text("the old page")
    with pytest.raises(ValueError, match=message) as caught:
        evaluation.page(tmp_path / "net.html", images(*colours))
    assert "\n" not in str(caught.value)
    assert (tmp_path / "net.html").read_text() == "the old page"
    assert len([*tmp_path.iterdir()]) == 1


def test_a_folder_that_does_not_exist_is_named_before_images_are_read(tmp_path):
    evaluation = made_up()

    def batches():
        raise AssertionError("read")
        yield

    with pytest.raises(FileNotFoundError, match="gone"):
        evaluation.page(tmp_path / "gone" / "net.html", batches())
    with pytest.raises(OSError, match=str(tmp_path)):
        evaluation.page(tmp_path)
    assert [*tmp_path.iterdir()] == []


# The command


def test_the_command_writes_the_page(tmp_path, monkeypatch):
    """Also of images that come in batches, which are read again."""
    monkeypatch.chdir(tmp_path)
    images = pixels(6, 16, 16, 3)
    write_images(tmp_path / "photos", images, ("cat & dog", "<b>"))
    (tmp_path / "net.py").write_text(
        "import torch\nfrom torch import nn\n"
        "class Net(nn.Sequential):\n"
        "    def __init__(self):\n"
        "        super().__init__(nn.Flatten(), nn.Linear(768, 2))\n"
    )
    status, printed, errors = run(
        "evaluate", "--model", "net.py:Net", "--data", "photos", "--page", "net.html",
        "--dx", -2, 2, "--dy", 0, 0, "--no-progress", "--normalize", "cifar10",
    )  # fmt: skip
    assert (status, errors) == (0, "")
    assert "written: net.html\n" in printed
    page = PageFile(tmp_path / "net.html")
    assert "How robust is Net to moving the image?" in page.text
    assert sorted(page.manifest["names"]) == ["<b>", "cat & dog"]
    order = [0, 2, 4, 1, 3, 5]  # by class; "<b>" sorts first
    order = order[3:] + order[:3]
    assert np.array_equal(page.pictures, images[order])


def test_the_command_without_intervals(tmp_path):
    status, _, _ = run(
        "evaluate", "--checkpoint", write_checkpoint(tmp_path, "mlp"), "--images", 20, "--no-intervals",
        "--page", tmp_path / "net.html",
    )  # fmt: skip
    assert status == 0
    page = PageFile(tmp_path / "net.html")
    assert page.manifest["n_images"] == 20
    assert "unmoved accuracy" in page.text
    assert not re.search(r"[\d.]+ to [\d.]+", page.text.split("Numbers and settings")[1])


@pytest.mark.parametrize("path", ["gone/net.html", "."])
def test_the_command_refuses_a_path_at_once(tmp_path, monkeypatch, path):
    monkeypatch.chdir(tmp_path)
    status, printed, errors = run("evaluate", "--model", "net.py:Net", "--page", path)
    assert (status, printed) == (2, "")
    assert errors.startswith("lenetshift evaluate: error: argument --page: ")
    assert errors.count("\n") == 1
