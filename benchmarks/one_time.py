"""One time for one thing, in every table and figure: that of its case, which repeats it most often, next to
its peers. What the parts ``scaling`` and ``isas`` measured of the same work stays in the result file."""

from __future__ import annotations

from typing import Any


def with_one_time(results: dict[str, Any]) -> dict[str, Any]:
    """The results of a run, in which a row of ``scaling`` and ``isas`` that is about the work of a case has
    its time."""
    cases = {case["case"]: case for case in results["cases"]}

    def of_number(row: dict[str, Any]) -> dict[str, Any]:
        case = cases.get(f"predict_shifts/{row['model']}")
        is_same = case is not None and row["n_images"] == case["n_images"]
        return {**row, "seconds": case["ours_s"]} if is_same else row

    def of_isa(row: dict[str, Any]) -> dict[str, Any]:
        case = cases.get(row["case"])
        is_same = case is not None and row["isa"] == results["isa"]
        return {**row, "ours_s": case["ours_s"]} if is_same else row

    found = dict(results)
    if "scaling" in results:
        images = [of_number(row) for row in results["scaling"]["images"]]
        found["scaling"] = {**results["scaling"], "images": images}
    if "isas" in results:
        found["isas"] = [of_isa(row) for row in results["isas"]]
    return found
