import csv
import io

import torch

from lenetshift import report
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


def test_only_model_3_does_not_add_up():
    for model, row in report.REPORT_TABLE.items():
        assert row.moved["correct"] + row.moved["wrong"] == 550_000
        total = row.unmoved["correct"] + row.unmoved["wrong"]
        assert total == (9950 if model == "pooled_mlp" else 10_000)
        assert row.misprint == (model == "pooled_mlp")


def test_text():
    lines = report.format_text(report.table_rows(_results()), "Title", "A note.").splitlines()
    assert lines[0] == "Title"
    assert (
        "Model 0 LeNet-5     ours        9681     319    96.8 %    330000  220000    60.0 %"
        in lines
    )
    assert (
        "                    report      9696     304      97 %    331140  218860      60 %"
        in lines
    )
    assert (
        "                    report      8733    1217*     87 %    223386  326614      41 %"
        in lines
    )
    assert "8733 + 1217 = 9950" in " ".join(lines)
    assert lines[-1] == "A note."
    assert max(map(len, lines)) <= 100


def test_markdown():
    text = report.format_markdown(report.table_rows(_results()), "Title")
    assert (
        "| Model 3 pooled MLP | report | 8733 | 1217\\* | 87 % | 223386 | 326614 | 41 % |" in text
    )
    assert "\\* Misprint in the report" in text


def test_csv():
    rows = list(
        csv.DictReader(io.StringIO(report.format_csv(report.table_rows(_results()), "sub")))
    )
    assert [row["source"] for row in rows] == ["ours", "report", "ours", "report"]
    assert rows[0]["accuracy"] == "0.968100"
    assert rows[0]["note"] == "sub"
    assert (rows[3]["wrong"], rows[3]["accuracy"], rows[3]["note"]) == (
        "1217",
        "0.87",
        report.MISPRINT,
    )


def test_without_the_report():
    rows = report.table_rows(_results(), with_report=False)
    assert {row.source for row in rows} == {"ours"}
    assert "Misprint" not in report.format_text(rows, "Title")


def test_position_answers():
    grid = ShiftGrid(range(-1, 2), range(0, 1))
    predictions = torch.tensor([[[2, 0, 3]], [[2, 3, 1]]], dtype=torch.uint8)
    answers = report.position_answers(predictions, {3: (1, 0), 2: (-1, 0), 5: (3, 0)}, grid)
    assert [(answer["digit"], answer["fraction"]) for answer in answers] == [(3, 0.5), (2, 1.0)]
