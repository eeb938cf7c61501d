"""The options of ``lenetshift page``."""

from __future__ import annotations

import argparse

from . import (
    FILE,
    FOLDER,
    USUAL_STATUS,
    a_path,
    add_data,
    completed,
)

DESCRIPTION = (
    "Write the page report.html anew from a finished result folder, for one that was made with "
    "--no-page, or to show a study's verdicts on it. Nothing is trained or evaluated."
)
EXAMPLE = "page results --study study --out report.html"
STATUS = USUAL_STATUS


def add_arguments(made: argparse.ArgumentParser) -> None:
    """Its options."""
    folder = made.add_argument(
        "folder", type=a_path, metavar="DIR", help="result folder of a finished `reproduce`"
    )
    completed(folder, FOLDER)
    out = made.add_argument(
        "--out", type=a_path, metavar="FILE", help="the page (default: report.html in DIR)"
    )
    completed(out, FILE)
    add_data(made, ": those that the results are about")
    study = made.add_argument(
        "--study", type=a_path, metavar="DIR",
        help="dossier of a study of the same data, for intervals and verdicts",
    )  # fmt: skip
    completed(study, FOLDER)
