"""``report.html`` as a file: what it says, what it holds, what it forbids. No browser is needed."""

import base64
import copy
import functools
import gzip
import hashlib
import json
import operator
import os
import re
import shutil
import zlib
from html.parser import HTMLParser

import jsonschema
import numpy as np
import pytest
import torch
from command_line import run
from pages import a_dossier, finished

import lenetshift
from lenetshift.checks.choices import ACTIVATIONS, INSTRUCTION_SETS, TRAINING_METHODS
from lenetshift.checks.errors import StorageError
from lenetshift.data.load import load_mnist
from lenetshift.models.table import ARCHITECTURES
from lenetshift.page import page as page_module
from lenetshift.page import render_page, texts
from lenetshift.page.parts import blocks, bundle
from lenetshift.reproduce import reproduction
from lenetshift.reproduce.checkpoints import SCHEMA, read_checkpoint
from lenetshift.reproduce.results import read_results, results_schema
from lenetshift.storage.environment import environment
from lenetshift.study import verification


class _Reader(HTMLParser):
    """Elements with their attributes, and texts by the id or else the tag of their element."""

    def __init__(self, text):
        super().__init__(convert_charrefs=True)
        self.elements, self.texts, self._open = [], {}, []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._open.append(dict(attributes).get("id") or tag)

    def handle_endtag(self, tag):
        self._open.append("")  # no test needs the text that follows

    def handle_data(self, data):
        name = self._open[-1] if self._open else ""
        self.texts[name] = self.texts.get(name, "") + data

    def attributes(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def text_of(out):
    return plain((out / "report.html").read_text(encoding="utf-8"))


def plain(text):
    """A page's text with a plain hyphen in LeNet-5."""
    return text.replace("\N{NON-BREAKING HYPHEN}", "-")


def flat(text):
    """What a page says: its text without tags, and with plain spaces."""
    without = re.sub(r"<[^>]*>", " ", plain(text).replace("\N{NO-BREAK SPACE}", " "))
    return re.sub(r"\s+", " ", without)


def made(out, *options):
    """Run ``reproduce`` and read its page."""
    status, _, errors = run("reproduce", "--out", out, *options)
    assert status == 0, errors
    return _Reader((out / "report.html").read_text(encoding="utf-8"))


def unpacked(page, name):
    return gzip.decompress(base64.b64decode(page.texts[name]))


def indices_of(page):
    return np.frombuffer(unpacked(page, "indices"), "<i4").tolist()


def manifest(page):
    return json.loads(page.texts["manifest"])


@pytest.fixture(scope="module")
def page_of_all(tmp_path_factory, small):
    out = tmp_path_factory.mktemp("page")
    return out, made(out, "--data", small, "--epochs", "1")


def test_blocks_hold_the_data_the_answers_and_the_weights(page_of_all, small):
    out, page = page_of_all
    listed = manifest(page)
    test_set = load_mnist(small)[1]
    assert unpacked(page, "images") == test_set.images.numpy().tobytes()
    assert list(unpacked(page, "labels")) == test_set.labels.tolist()
    assert indices_of(page) == list(range(40))
    assert (listed["n_images"], listed["n_test"], listed["image_offset"]) == (40, 40, 0)
    # The biased model stands next to the unbiased one.
    assert [model["name"] for model in listed["models"]][:2] == ["lenet5", "biased_lenet5"]
    with np.load(out / "predictions.npz") as arrays:
        for name in lenetshift.models.table.ARCHITECTURES:
            assert unpacked(page, f"answers-{name}") == arrays[name].tobytes()
            kept = torch.load(out / "checkpoints" / f"{name}.pt", weights_only=True)["state_dict"]
            values = np.frombuffer(unpacked(page, f"weights-{name}"), "<f4")
            flat = torch.cat([tensor.flatten() for tensor in kept.values()])
            assert values.tobytes() == flat.numpy().tobytes()
            (model,) = [model for model in listed["models"] if model["name"] == name]
            assert model["parameters"] == [[n, list(w.shape)] for n, w in kept.items()]
    for name, block in listed["blocks"].items():
        data = unpacked(page, name)
        assert block == {"length": len(data), "crc32": zlib.crc32(data)}, name
    (of_manifest,) = [a for a in page.attributes("script") if a.get("id") == "manifest"]
    assert int(of_manifest["data-crc32"]) == zlib.crc32(page.texts["manifest"].encode())


def test_the_policy_allows_this_script_and_this_style_alone(page_of_all):
    out, page = page_of_all
    text = text_of(out)
    text = (out / "report.html").read_text(encoding="utf-8")
    (policy,) = [a["content"] for a in page.attributes("meta") if "http-equiv" in a]
    rules = dict(rule.split(" ", 1) for rule in policy.split("; "))
    assert rules["default-src"] == "'none'"
    for tag, rule in (("script", "script-src"), ("style", "style-src")):
        (content,) = re.findall(rf"<{tag}(?: type=\"module\")?>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert rules[rule] == f"'sha256-{digest}'"
    assert "unsafe" not in policy


def test_nothing_in_the_page_is_elsewhere(page_of_all):
    _, page = page_of_all
    for tag, attributes in page.elements:
        assert "style" not in attributes, tag
        assert not [name for name in attributes if name.startswith("on")], tag
        assert attributes.get("src", "data:").startswith("data:"), tag
        if "href" in attributes and tag != "a":
            assert attributes["href"].startswith("data:")
        if tag == "a":
            assert attributes["href"].startswith("#") or attributes["rel"] == "noreferrer"


def test_ids_are_unique_and_links_lead_somewhere(page_of_all):
    _, page = page_of_all
    ids = [attributes["id"] for _, attributes in page.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    targets = [a["href"][1:] for a in page.attributes("a") if a["href"].startswith("#")]
    for attributes in (a for _, a in page.elements):
        for name in ("aria-labelledby", "aria-describedby", "for"):
            targets += attributes.get(name, "").split()
    assert set(targets) <= set(ids)


def test_sections_come_in_their_order(tmp_path):
    page = made(tmp_path, "--epochs", "0", "--quick")
    sections = [attributes["id"] for attributes in page.attributes("section")]
    assert sections == ["explorer", "table", "figures", "maps", "settings"]
    listed = manifest(page)
    assert listed["figures"] == [4017, 4888, 5392, 8655]
    assert (listed["n_test"], listed["n_images"]) == (1000, 1004)
    indices = indices_of(page)
    assert indices == [*range(0, 10_000, 10), 4017, 4888, 5392, 8655]
    images = np.frombuffer(unpacked(page, "images"), np.uint8).reshape(-1, 28, 28)
    assert np.array_equal(images, load_mnist()[1].images[indices])
    text = text_of(tmp_path)
    assert "Subset (--quick), drawn evenly" in text
    assert "8733 + 1217 = 9950" in text
    assert (
        "8783 right answers instead of 8733, but these are 88 %, and the report prints 87 %" in text
    )
    assert "CC BY-SA 3.0" in text


def test_the_reports_images_can_be_taken_without_the_biased_model(tmp_path):
    page = made(tmp_path, "--epochs", "0", "--quick", "--models", "pooled_mlp")
    assert "figures" not in [attributes["id"] for attributes in page.attributes("section")]
    taken = [a["data-index"] for a in page.attributes("button") if a.get("class") == "take"]
    assert taken == ["4017", "4888", "5392", "8655"]


def test_a_full_run_stays_below_8_mb_and_holds_the_packaged_images(tmp_path):
    page = made(tmp_path, "--epochs", "0")
    assert (tmp_path / "report.html").stat().st_size < 8_000_000
    listed = manifest(page)
    offset = listed["image_offset"]
    assert listed["n_test"] == listed["n_images"] == 10_000
    assert unpacked(page, "images")[offset:] == load_mnist()[1].images.numpy().tobytes()


def test_text_from_data_is_escaped(small, tmp_path, monkeypatch):
    job, checkpoints, value = finished(small, tmp_path, "--models", "pooled_mlp,biased_lenet5")
    evil = "</script><script>alert(1)</script><img src=x onerror='a()'> \"{{ 7 * 7 }}\""
    value["note"] = evil
    monkeypatch.setitem(texts.SHORT_NAMES, "pooled_mlp", evil)  # in the manifest too
    value["environment"] |= {"processor": evil, "lenetshift": evil, "platform": evil}
    names = ("name", "hypothesis", "measure", "verdict")
    part = {**dict.fromkeys(names, evil), "looks": []}
    claim = {"claim": 1, "sentence": evil, "verdict": evil, "parts": [part]}
    dossier = {
        "note": evil,
        "study": {"seeds": 2, "quick": False},
        "table": None,
        "claims": [claim],
    }
    text = render_page(job, checkpoints, value, dossier)
    page = _Reader(text)
    assert {image["class"] for image in page.attributes("img")} == {"still"}  # of the page itself
    n_blocks = len(manifest(page)["blocks"])
    assert len(page.attributes("script")) == n_blocks + 2  # the manifest, the page's own
    assert "alert(1)</script>" not in text
    assert text.count("&lt;/script&gt;&lt;script&gt;alert(1)") >= 7
    assert "{{ 7 * 7 }}" in text


def test_no_page(small, tmp_path):
    options = ("--data", small, "--models", "mlp", "--epochs", 0)
    made(tmp_path, *options)
    assert run("reproduce", "--out", tmp_path, *options, "--no-page")[0] == 0
    assert not (tmp_path / "report.html").exists()  # that of the earlier run is gone
    assert (tmp_path / "results.json").exists()


def test_the_page_is_written_whole_or_not_at_all(small, tmp_path, monkeypatch):
    def fails(*_, **__):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("lenetshift.page.render_page", fails)
    options = ("--data", small, "--out", tmp_path, "--models", "mlp", "--epochs", 0)
    assert run("reproduce", *options)[0] == 2
    assert not (tmp_path / "report.html").exists()
    assert not (tmp_path / "results.json").exists()


@pytest.mark.parametrize(
    "models", ["mlp", "pooled_mlp,symmetric_lenet5", "biased_lenet5", "lenet5,biased_lenet5"]
)
def test_some_of_the_models(small, tmp_path, models):
    names = models.split(",")
    options = ("--data", small, "--models", models, "--epochs", 0, "--activation", "relu")
    listed = manifest(made(tmp_path, *options))
    assert {model["name"] for model in listed["models"]} == set(names)
    assert listed["activation"] == "relu"
    text = text_of(tmp_path)
    assert ("Try this" in text) == ("biased_lenet5" in names)
    assert ("Then look at LeNet-5" in text) == ("lenet5" in names)


def test_another_grid(small, tmp_path):
    options = ["--data", small, "--models", "mlp,biased_lenet5", "--epochs", "0"]
    page = made(tmp_path, *options, "--dx", "-1", "2", "--dy", "0", "0", "--bias", "4:-2,+1")
    assert (manifest(page)["dx"], manifest(page)["dy"]) == ([-1, 0, 1, 2], [0])
    assert len(unpacked(page, "answers-mlp")) == 40 * 4
    cells = [a for a in page.attributes("td") if a.get("role") == "gridcell"]
    assert len(cells) == 2 * 2 * 4  # two models, map and explorer
    assert [cell["tabindex"] for cell in cells].count("0") == 4  # one of each grid


@pytest.mark.parametrize("limit", ["MOST_IMAGES", "MOST_ANSWERS", "MOST_BYTES"])
def test_too_much_data_is_thinned_out_evenly(small, tmp_path, monkeypatch, limit):
    job, checkpoints, value = finished(small, tmp_path, "--models", "pooled_mlp")
    weights = blocks.total([blocks.weights_block("", checkpoints["pooled_mlp"].state_dict)])
    most = {"MOST_IMAGES": 10, "MOST_ANSWERS": 10 * 55, "MOST_BYTES": weights + 5_000}[limit]
    monkeypatch.setattr(blocks, limit, most)
    text = render_page(job, checkpoints, value)
    page = _Reader(text)
    n = manifest(page)["n_test"]
    assert n == 10 if limit != "MOST_BYTES" else 10 <= n < 40
    indices = indices_of(page)
    assert indices == lenetshift.data.dataset.evenly_spaced(n, 40).tolist()
    predictions = checkpoints["pooled_mlp"].evaluated()[indices]
    assert unpacked(page, "answers-pooled_mlp") == predictions.numpy().tobytes()
    assert f"This page contains {n} of the 40 test images" in text
    if limit == "MOST_BYTES":
        assert sum(len(page.texts[name]) for name in manifest(page)["blocks"]) <= most


def test_a_study_gives_intervals_and_verdicts(small, tmp_path):
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5,mlp")
    text = flat(render_page(job, checkpoints, value, a_dossier()))
    assert "over 20 seeds 96.9 % 96.1 to 97.7" in text
    assert "supported Pooling gives none." in text
    assert "Model 3 less Model 1: \u22120.4 [\u22120.6 to \u22120.2]" in text
    assert "over 20 seeds" not in render_page(job, checkpoints, value)


def test_a_quick_study_gives_neither(small, tmp_path):
    """Whatever its file holds: it is only a note on the page."""
    job, checkpoints, value = finished(small, tmp_path, "--models", "lenet5,mlp")
    dossier = a_dossier()
    dossier["study"]["quick"] = True
    dossier["note"] = "A quick study."
    text = render_page(job, checkpoints, value, dossier)
    assert "A quick study." in flat(text)
    assert 'class="verdict ' not in text
    for word in ("over 20 seeds", "Pooling gives none.", "96.1 to 97.7", "What a study says"):
        assert word not in flat(text)


def test_an_unusable_study_is_reported_before_the_training(small, tmp_path):
    out, study = tmp_path / "out", tmp_path / "study"

    def refused(reason):
        status, _, errors = run("reproduce", "--data", small, "--out", out, "--study", study)
        assert (status, errors.count("\n")) == (2, 1)
        assert reason in errors
        assert not out.exists()

    expected = "expected the folder of a finished `study`"
    refused(f"argument --study: {study}: no such folder, {expected}")
    study.mkdir()
    refused(f"argument --study: {study}: has no dossier.json, {expected}")
    (study / "dossier.json").write_text("{")
    refused("argument --study: dossier.json: not JSON")
    (study / "dossier.json").write_text("{}")
    refused("argument --study: dossier.json: $: ")


def test_a_study_of_other_data_is_refused(small, tmp_path, monkeypatch):
    (tmp_path / "dossier.json").touch()
    monkeypatch.setattr(verification, "read_dossier", lambda _: {"data_sha256": {}})
    options = ("--data", small, "--out", tmp_path / "out", "--study", tmp_path)
    status, _, errors = run("reproduce", *options)
    assert status == 2
    assert "is about other data than this run" in errors


def test_three_sentences_say_what_was_found(small, tmp_path):
    _, _, value = finished(small, tmp_path, "--models", "lenet5,mlp,pooled_mlp,biased_lenet5")
    accuracies = {"lenet5": (0.9655, 0.577), "mlp": (0.9245, 0.4), "pooled_mlp": (0.8783, 0.406)}
    for name, (unmoved, moved) in accuracies.items():
        value["models"][name]["unmoved"]["accuracy"] = unmoved
        value["models"][name]["moved"]["accuracy"] = moved
    for share, fraction in zip(value["position_bias"], (0.913, 0.968), strict=True):
        share["fraction"] = fraction
    sentences = [text.replace("\N{NO-BREAK SPACE}", " ") for text in texts.finding(value)]
    assert [text.replace("\N{MINUS SIGN}", "-") for text in sentences] == [
        "LeNet-5 classifies 96.5 % of 40 unmoved test images correctly, and 57.7 % of the 2,200 images "
        "that come from moving each by dx -5 to +5 and dy -2 to +2 pixels.",
        "The same shifts take accuracy from 92.5 % to 40.0 % for the MLP and "
        "from 87.8 % to 40.6 % for the pooled MLP.",
        "Trained with every 3 moved by (+3, 0) and every 2 by (-3, 0), LeNet-5 answers by position: "
        "of all test images, 91.3 % are called 3 when moved by (+3, 0) and 96.8 % are called 2 when "
        "moved by (-3, 0).",
    ]
    value["position_bias"][0]["fraction"] = 0.4
    assert "does not answer by position alone" in texts.finding(value)[-1]


def test_modules_are_joined_after_what_they_import(tmp_path):
    (tmp_path / "a.js").write_text("export const a = 1;\n")
    b = 'import { a } from "./a.js";\n\nexport function b() { return a; }\n'
    (tmp_path / "b.js").write_text(b)
    main = 'import { b } from "./b.js";\nimport {\n  a,\n} from "./a.js";\n\nb(a);\n'
    (tmp_path / "main.js").write_text(main)
    joined = "// a.js\nconst a = 1;\n\n// b.js\nfunction b() { return a; }\n\n// main.js\nb(a);\n\n"
    assert bundle.script(tmp_path) == joined


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('import * as a from "./a.js";\n', "a plain import or export"),
        ("export default 1;\n", "a plain import or export"),
        ('import { a } from "./main.js";\n', "imports itself"),
    ],
)
def test_other_imports_and_exports_are_refused(tmp_path, text, reason):
    (tmp_path / "main.js").write_text(text)
    with pytest.raises(ValueError, match=reason):
        bundle.script(tmp_path)


def test_the_script_cannot_end_early():
    assert "</" not in bundle.script(page_module.FOLDER)
    assert "<!--" not in bundle.script(page_module.FOLDER)


def test_a_resumed_run_makes_the_same_page(page_of_all, small):
    out, _ = page_of_all
    first = text_of(out)
    made(out, "--data", small, "--epochs", 1, "--resume")
    assert text_of(out) == first


# The command `page`.


@pytest.fixture(scope="module")
def folder(small, tmp_path_factory):
    """A finished result folder."""
    out = tmp_path_factory.mktemp("results")
    made(out, "--data", small, "--epochs", 0, "--models", "mlp", "biased_lenet5")
    return out


def test_the_page_of_a_folder_is_that_of_its_run(folder, small, tmp_path) -> None:
    status, _, errors = run("page", folder, "--data", small, "--out", tmp_path / "a.html")
    assert (status, errors) == (0, "")
    assert (tmp_path / "a.html").read_bytes() == (folder / "report.html").read_bytes()


def test_the_page_of_a_subset(tmp_path) -> None:
    made(tmp_path, "--quick", "--models", "pooled_mlp", "--epochs", 0)
    before = text_of(tmp_path)
    (tmp_path / "report.html").unlink()
    status, _, errors = run("page", tmp_path)
    assert (status, errors) == (0, "")
    assert text_of(tmp_path) == before


def edited(change):
    """A change of what ``results.json`` holds, as a change of its folder."""

    def edit(folder):
        path = folder / "results.json"
        value = json.loads(path.read_text())
        change(value)
        path.write_text(json.dumps(value))

    return edit


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda f: (f / "results.json").unlink(),
            "argument DIR: {f}: has no results.json, expected the folder of a finished `reproduce`",
        ),
        (lambda f: (f / "results.json").write_text("{"), "{f}/results.json: not JSON"),
        (
            lambda f: (f / "results.json").write_text("[]"),
            "{f}/results.json: $: got [], expected object",
        ),
        (
            lambda f: (f / "checkpoints/mlp.pt").unlink(),
            "cannot read {f}/checkpoints/mlp.pt: No such",
        ),
        (
            lambda f: shutil.copy(f / "checkpoints/biased_lenet5.pt", f / "checkpoints/mlp.pt"),
            "mlp.pt: got answers [40, 5, 11] of biased_lenet5, expected [40, 5, 11] of mlp",
        ),
        (edited(lambda v: v.update(schema=1)), "{f}/results.json: $.schema: got 1, expected 2"),
        (
            edited(lambda v: v.pop("figures")),
            '{f}/results.json: $: got no "figures", expected it next to "position_bias"',
        ),
        (
            edited(lambda v: v["data"].update({"n\nm": 1})),
            '{f}/results.json: $.data: got "n\\nm", expected n_train, n_test',
        ),
        (edited(lambda v: v["config"].pop("grid")), '$.config: got no "grid", expected'),
        (
            edited(lambda v: v["config"].update(batch_size=0)),
            "$.config.batch_size: got 0, expected 1 or",
        ),
        (
            edited(lambda v: v["config"]["grid"].update(dx=[5, -5])),
            "$.config.grid.dx: got [5, -5], expected the first shift, then the last",
        ),
        (edited(lambda v: v["config"]["grid"].update(dx=[1, 11])), "$.config: grid: got "),
        (edited(lambda v: v.update(models={})), "$.models: got {{}}, expected 1 key or more"),
        (edited(lambda v: v["models"].update(net={})), '$.models: got "net", expected "len'),
        (
            edited(lambda v: v["models"]["mlp"]["accuracy_map"].pop()),
            "$.models.mlp.accuracy_map: got 4 rows of [11] items, expected 5 of 11",
        ),
        (
            edited(lambda v: v["environment"]["data_sha256"].update(test_images=64 * "0")),
            "argument --data: got other data than those of",
        ),
    ],
)
def test_no_page_of_a_damaged_folder(damage, message, folder, small, tmp_path) -> None:
    copied = shutil.copytree(folder, tmp_path / "copied")
    damage(copied)
    status, _, errors = run("page", copied, "--data", small)
    assert (status, errors.count("\n")) == (2, 1)
    assert errors.startswith("lenetshift page: error: ")
    assert message.format(f=copied) in errors
    assert text_of(copied) == text_of(folder)


KINDS = (None, "text", [], {}, 7, True, float("nan"), 10**400, [[1]], "\ud800")


def places(value, where=()):
    """The keys that lead to each value of a JSON value; of an array the last."""
    kept = value if isinstance(value, (dict, list)) else ()
    for key in kept if isinstance(kept, dict) else range(len(kept))[-1:]:
        yield (*where, key)
        yield from places(value[key], (*where, key))


def changes(value):
    """A JSON value with one of its values of another kind each time, or left out."""
    for where in places(value):
        *above, last = where
        changed = copy.deepcopy(value)
        of = functools.reduce(operator.getitem, above, changed)
        for kind in KINDS:
            of[last] = kind
            yield (*where, kind), changed
        del of[last]
        yield (*where, "left out"), changed


@pytest.mark.slow
def test_results_of_any_other_kind_are_one_line_or_a_page(tmp_path, monkeypatch) -> None:
    made(tmp_path, "--quick", "--models", "biased_lenet5", "--epochs", 1, "--dx", -3, 3)
    path = tmp_path / "results.json"
    value = json.loads(path.read_text())
    assert len(value["figures"]) == 4
    # What does not change is done once.
    monkeypatch.setattr(reproduction, "load_mnist", functools.cache(load_mnist))
    monkeypatch.setattr(
        "lenetshift.reproduce.checkpoints.read_checkpoint", functools.cache(read_checkpoint)
    )
    monkeypatch.setattr(blocks, "block", functools.cache(blocks.block))
    n_refused = n_pages = 0
    for change, changed in changes(value):
        path.write_text(json.dumps(changed))
        status, _, errors = run("page", tmp_path)
        if status == 0:
            n_pages += 1
            assert errors == "", change
        else:
            n_refused += 1
            assert status == 2, change
            start = f"lenetshift page: error: argument DIR: {path}: $"
            assert errors.startswith((start, "lenetshift page: error: argument --data: ")), change
            assert errors.count("\n") == 1, change
            assert "expected" in errors or "got other data" in errors, change
    assert n_refused > 600
    assert n_pages > 50


def test_results_are_under_their_schema(folder, page_of_all, tmp_path) -> None:
    """Also those of a training that diverged, and of a grid of one shift."""
    schema = results_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    assert schema["properties"]["schema"]["const"] == SCHEMA
    assert schema["$defs"]["model_name"]["enum"] == list(ARCHITECTURES)
    config = schema["properties"]["config"]["properties"]
    assert config["activation"]["enum"] == list(ACTIVATIONS)
    assert config["method"]["enum"] == list(TRAINING_METHODS)
    options = ("--models", "mlp", "--epochs", 1, "--dx", 0, 0, "--dy", 0, 0, "--bias", "3:0,0")
    made(tmp_path, "--quick", *options, "--learning-rate", 1e38)
    value = read_results(tmp_path)
    assert value["models"]["mlp"]["loss"][0]["last"] is None
    for out in (folder, page_of_all[0]):
        assert read_results(out)["schema"] == SCHEMA


def test_a_pipe_is_not_read_as_results(tmp_path) -> None:
    os.mkfifo(tmp_path / "results.json")
    with pytest.raises(StorageError, match=r"cannot read .*results\.json: not a file"):
        read_results(tmp_path)


def test_the_order_of_the_models_in_the_results_does_not_matter(folder, small, tmp_path) -> None:
    out = shutil.copytree(folder, tmp_path / "out")
    edited(lambda value: value.update(models=dict(reversed(value["models"].items()))))(out)
    assert run("page", out, "--data", small)[0] == 0
    assert (out / "report.html").read_bytes() == (folder / "report.html").read_bytes()


def test_settings_and_surroundings_are_in_words() -> None:
    """A visitor has not read the package's code."""
    parts = {"isa": "avx512", "device": "cuda", "logical_cpus": 4, "gpu": None, "torch": "2.13.0"}
    parts["data_sha256"] = {"train_images": "0f"}
    assert dict(texts.surroundings({"environment": parts})) == {
        "instruction set": "AVX-512",
        "computed on": "the GPU",
        "logical CPUs": "4",
        "PyTorch": "2.13.0",
        "SHA-256 of the train images": "0f",
    }


def test_every_part_of_the_environment_has_a_name_in_words() -> None:
    names = environment(torch.device("cpu"))
    said = dict(texts.surroundings({"environment": names}))
    assert {"instruction set", "operating system", "kind of processor", "computed on"} <= {*said}
    assert not {"isa", "machine", "platform", "device", "torch", "commit"} & {*said}
    assert said["instruction set"] in INSTRUCTION_SETS.values()
    assert {*INSTRUCTION_SETS} == {"portable", "avx2", "avx512"}
