"""What the page shows from other runs: two networks that come with the package, and the intervals of one more
run."""

import base64
import copy
import gzip
import json
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from pages import a_dossier, finished

from lenetshift import ShiftGrid
from lenetshift.data.load import MNIST_SHA256, load_mnist
from lenetshift.models.table import BY_NAME
from lenetshift.page import intervals, mended, render_page, texts
from lenetshift.predict.predict_shifts import predict_shifts
from lenetshift.reference import translate
from lenetshift.reproduce.settings import Config

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """The page of networks that are not trained, on a part of MNIST: its text and its manifest."""
    out = tmp_path_factory.mktemp("whole")
    job, checkpoints, value = finished(None, out, "--quick", "--models", "lenet5,mlp,biased_lenet5")
    text = render_page(job, checkpoints, value)
    (listed,) = re.findall(r'id="manifest"[^>]*>(.*?)</script>', text)
    return text, json.loads(listed)


def block(text, name):
    (packed,) = re.findall(rf'<script type="application/gzip;base64" id="{name}">([^<]*)', text)
    return gzip.decompress(base64.b64decode(packed))


def test_the_page_has_the_networks_of_the_package(whole):
    text, listed = whole
    names = [item.name for item in mended.MENDED]
    assert [model["name"] for model in listed["models"]][-2:] == names
    for item in mended.MENDED:
        (model,) = [model for model in listed["models"] if model["name"] == item.name]
        assert not model["kept"]
        assert f"answers-{item.name}" not in listed["blocks"]
        stored = mended.stored_weights(item.name)
        values = np.concatenate([w.numpy().ravel() for w in stored.values()])
        assert block(text, f"weights-{item.name}") == values.tobytes()
        assert [shape for _, shape in model["parameters"]] == [
            list(w.shape) for w in stored.values()
        ]
        accuracies = mended.accuracies()[item.name]
        assert f"{100 * accuracies['moved']:.1f}" in text


def test_the_page_of_other_data_has_not(small, tmp_path):
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5")
    text = render_page(job, checkpoints, value)
    assert "place_blind" not in text.split('<script type="module">')[0].replace('place_blind":', "")
    assert "What mends it" not in text


def test_accuracies_are_those_of_the_stored_weights(script):
    """Of all unmoved images; the study's tests are about the rest of the evaluation."""
    generator = script("tools/generate/page_networks.py")
    test = load_mnist()[1]
    assert set(generator.RUNS) == set(mended.accuracies()) == {item.name for item in mended.MENDED}
    for name, run in generator.RUNS.items():
        kept = mended.accuracies()[name]
        assert kept["run"] == json.loads(json.dumps(run.to_dict()))
        answers = predict_shifts(
            mended.mended_network(name), test.images, ShiftGrid(range(1), range(1))
        )
        right = float((answers[:, 0, 0] == test.labels).double().mean())
        assert abs(right - kept["unmoved"]) <= 0.0002  # another processor's rounding may turn a tie
        assert kept["by_dx"]["0"] == kept["unmoved"]


def test_the_first_picture_shows_the_networks_answers(whole):
    """Those of the package's networks, computed here one by one."""
    text, listed = whole
    test = load_mnist()[1]
    index = listed["first"]
    label = int(test.labels[index])
    images = translate(test.images[[index]], torch.tensor([(dx, 0) for dx in range(-5, 6)]))[0]
    for item in mended.MENDED:
        with torch.no_grad():
            logits = mended.mended_network(item.name)(images[:, None] / 255)
        (row,) = re.findall(rf'data-model="{item.name}">(.*?)</ol>', text, re.DOTALL)
        cells = re.findall(r'<li class="(right|wrong)[^"]*"><span>(\d)</span>', row)
        assert [int(answer) for _, answer in cells] == logits.argmax(1).tolist()
        assert [word == "right" for word, _ in cells] == [int(a) == label for _, a in cells]


def test_the_first_picture_is_typical():
    """The image that is right and wrong where most are comes first."""
    from lenetshift.page.first_picture import _typical

    labels = np.array([3, 3, 3, 3])
    answers = np.array([[3, 3, 3], [0, 3, 0], [0, 3, 0], [0, 0, 0]], np.uint8)
    assert _typical({"a": answers}, labels).tolist() == [1, 2, 3, 0]


def test_the_opening_in_plain_words(small, tmp_path):
    _, _, value = finished(small, tmp_path, "--models", "lenet5,mlp")
    value["models"]["lenet5"]["unmoved"]["accuracy"] = 0.9655
    value["models"]["lenet5"]["moved"]["accuracy"] = 0.577
    said = texts.opening(value).replace("\N{NO-BREAK SPACE}", " ")
    assert said == (
        "LeNet-5 reads 96.5 % of 40 test images correctly, but only 57.7 % of the same images moved by up "
        "to 5 pixels."
    )


# The interval of one more run


def default_value():
    """The parts of ``results.json`` of a whole run with the default settings that matter here."""
    models = {name: {"unmoved": {"accuracy": 0.5}, "moved": {"accuracy": 0.5}} for name in BY_NAME}
    config = json.loads(json.dumps(Config(seed=7).to_dict()))
    environment = {"data_sha256": MNIST_SHA256}
    return {"config": config, "subset": False, "environment": environment, "models": models}


def test_intervals_are_those_of_the_study():
    kept = json.loads((ROOT / "docs" / "reproduction" / "summary.json").read_text())
    assert intervals.FILE.read_text() == intervals.text_of(kept)
    found = json.loads(intervals.FILE.read_text())["intervals"]
    for cell in kept["table"]["cells"]:
        assert np.allclose(found[cell["model"]][cell["column"]], cell["interval"], atol=0.0051)
    assert set(found) == set(BY_NAME)


def test_intervals_are_for_the_default_settings_alone():
    assert set(intervals.intervals_for(default_value())) == set(BY_NAME)

    def changed(*keys, to):
        value = copy.deepcopy(default_value())
        of = value
        for key in keys[:-1]:
            of = of[key]
        of[keys[-1]] = to
        return value

    for value in (
        changed("config", "epochs", to=3),
        changed("config", "learning_rate", to=0.2),
        changed("config", "batch_size", to=32),
        changed("config", "activation", to="relu"),
        changed("config", "grid", "dx", to=[-6, 6]),
        changed("config", "bias_rule", to={"4": [2, 0]}),
        changed("subset", to=True),
        changed("environment", "data_sha256", to={}),
    ):
        assert intervals.intervals_for(value) == {}
    assert intervals.intervals_for(changed("config", "bias_rule", to={"4": [2, 0]})) == {}


@pytest.mark.parametrize(
    ("own", "where", "mark"),
    [
        (57.0, "within", 50),
        (56.0, "within", 25),
        (55.9, "below", 22.5),
        (40, "below", 2),
        (99, "above", 98),
    ],
)
def test_the_mark_of_a_run(own, where, mark):
    said = texts.one_more(own, (56.0, 58.0))
    assert said == {"text": "56.0 to 58.0", "where": where, "mark": mark}


def test_a_run_stands_beside_the_interval(small, tmp_path, monkeypatch):
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5")
    assert "one-more" not in render_page(job, checkpoints, value).split("</style>")[1]
    monkeypatch.setattr(
        texts, "intervals_for", lambda _: {"lenet5": {"unmoved": [1.0, 2.0], "moved": [0.0, 99.0]}}
    )
    text = render_page(job, checkpoints, value)
    assert re.findall(r'class="one-more (\w+)"', text) == ["above", "within"]
    assert "1.0 to 2.0" in text
    assert "where one more run lies" in text
    with_study = render_page(job, checkpoints, value, a_dossier())
    assert not re.findall(r'class="one-more (\w+)"', with_study)  # the study's own stand there
