import csv
import io
from dataclasses import replace

import pytest

from lenetshift.data.load import MNIST_SHA256
from lenetshift.reproduce import tables
from lenetshift.reproduce.defaults import FITTED
from lenetshift.reproduce.settings import Config
from lenetshift.shifts import ShiftGrid


def _results():
    return {
        "pooled_mlp": {
            "unmoved": {"correct": 8801, "wrong": 1199, "accuracy": 0.8801},
            "moved": {"correct": 221_000, "wrong": 329_000, "accuracy": 221 / 550},
        },
        "lenet5": {
            "unmoved": {"correct": 9681, "wrong": 319, "accuracy": 0.9681},
            "moved": {"correct": 330_000, "wrong": 220_000, "accuracy": 0.6},
        },
    }


def test_text():
    lines = tables.format_text(tables.table_rows(_results()), "Title", "A note.").splitlines()
    assert lines[0] == "Title"
    assert set(lines) > {
        "Model 0 LeNet-5     ours        9681     319    96.8 %    330000  220000    60.0 %",
        "                    report      9696     304      97 %    331140  218860      60 %",
        "                    report      8733    1217*     87 %    223386  326614      41 %",
    }
    assert "8733 + 1217 = 9950" in " ".join(lines)
    assert lines[-1] == "A note."
    assert max(map(len, lines)) <= 100


def test_markdown():
    text = tables.format_markdown(tables.table_rows(_results()), "Title")
    row = "| Model 3 pooled MLP | report | 8733 | 1217\\* | 87 % | 223386 | 326614 | 41 % |"
    assert row in text.splitlines()
    assert "\\* Misprint in the report" in text


def test_a_run_with_the_number_that_is_not_taken_says_that_this_is_chance():
    rows = tables.table_rows(_results())
    assert tables.misprint_note(rows) == tables.MISPRINT_NOTE
    unmoved = {**rows[2].unmoved, "correct": 8783}
    same = [*rows[:2], replace(rows[2], unmoved=unmoved), rows[3]]
    assert "chance" in tables.misprint_note(same)
    assert "chance" in tables.format_text(same, "Title")


def test_csv():
    text = tables.format_csv(tables.table_rows(_results()), "sub")
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [row["source"] for row in rows] == ["ours", "report", "ours", "report"]
    assert rows[0]["accuracy"] == "0.968100"
    assert rows[0]["note"] == "sub"
    assert [rows[3][name] for name in ("wrong", "accuracy", "note")] == [
        "1217",
        "0.87",
        tables.MISPRINT_NOTE,
    ]


def test_without_the_report():
    rows = tables.table_rows(_results(), with_report=False)
    assert {row.source for row in rows} == {"ours"}
    assert "Misprint" not in tables.format_text(rows, "Title")


def _value(data_sha256, dx=(-5, 5), dy=(-2, 2)):
    models = {name: {**model, "diverged": False} for name, model in _results().items()}
    return {
        "config": Config(
            grid=ShiftGrid(range(dx[0], dx[1] + 1), range(dy[0], dy[1] + 1))
        ).to_dict(),
        "data": {"n_test": 10_000},
        "environment": {"data_sha256": data_sha256},
        "models": models,
        "note": "",
    }


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (_value(MNIST_SHA256), ""),
        (_value({}), "data are not MNIST"),
        (_value(MNIST_SHA256, dx=(-4, 5)), "shifts are not the report's"),
        (_value(MNIST_SHA256, dy=(-2, 3)), "shifts are not the report's"),
        (_value({}, dy=(0, 0)), "data are not MNIST and the shifts are not the report's"),
    ],
)
def test_the_reports_rows_stand_beside_the_same_data_and_shifts_only(value, reason):
    rows, _, note = tables.table(value)
    assert [row.source for row in rows] == (["ours"] * 2 if reason else ["ours", "report"] * 2)
    assert note == (f"The {reason}, so the report's numbers are left out." if reason else "")


def test_the_table_says_how_its_settings_were_found():
    """Those of Config.report alone; and each model's number of epochs, if they have their own."""

    def note(config):
        return tables.table({**_value(MNIST_SHA256), "config": config.to_dict()})[2]

    report = Config.report()
    epochs = (
        f"Epochs of training: {report.epochs_of('lenet5')} for LeNet-5, "
        f"{report.epochs_of('pooled_mlp')} for the pooled MLP."
    )
    assert note(report) == f"{epochs} {FITTED}"
    assert note(replace(report, seed=1, n_train=10)) == f"{epochs} {FITTED}"
    for other in ({"learning_rate": 0.5}, {"batch_size": 7}, {"activation": "tanh"}):
        assert note(replace(report, **other)) == epochs
    more = {name: 1 + n for name, n in report.epochs.items()}
    assert FITTED not in note(replace(report, epochs=more))
    assert note(replace(report, epochs=3)) == ""
