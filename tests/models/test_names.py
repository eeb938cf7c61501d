"""The table of models: every list of models is made from it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lenetshift.checks.choices import ACTIVATIONS
from lenetshift.models import table as names
from lenetshift.models.build import MODELS, build_model
from lenetshift.models.fused import own_name
from lenetshift.models.table import ARCHITECTURES, DISPLAY_NAMES
from lenetshift.page import page, texts
from lenetshift.study.experiments import table


def test_every_list_of_models_is_the_tables() -> None:
    everyone = [spec.name for spec in names.ALL_MODELS]
    assert list(DISPLAY_NAMES) == list(ARCHITECTURES) == everyone
    assert sorted(texts.SHORT_NAMES) == sorted(everyone)
    assert list(MODELS) == [spec.name for spec in names.BASE_MODELS]
    assert list(table.PRINTED) == [s.name for s in names.ALL_MODELS if s.report is not None]


def test_the_biased_network_stands_beside_the_unbiased_one() -> None:
    in_order = [spec.name for spec in names.side_by_side()]
    assert sorted(in_order) == sorted(names.BY_NAME)
    assert in_order[:2] == ["lenet5", "biased_lenet5"]
    assert in_order[-2:] == ["mlp", "pooled_mlp"]  # networks with convolutions come first


@pytest.mark.parametrize("spec", names.BASE_MODELS, ids=lambda spec: spec.name)
def test_a_row_names_a_class_and_its_ops(spec: names.ModelSpec) -> None:
    model = build_model(spec.name, seed=0)
    assert (type(model).__name__, own_name(model)) == (spec.made_by, spec.name)
    for op in ("predict_shifts", "train_epoch"):
        assert hasattr(torch.ops.lenetshift, f"{op}_{spec.name}") == spec.has_fused_ops


@pytest.mark.parametrize("spec", names.ALL_MODELS, ids=lambda spec: spec.name)
def test_the_page_is_told_how_to_compute_a_model(spec: names.ModelSpec) -> None:
    drawn = page._drawn(spec.drawn)
    if drawn["kind"] == "lenet":
        n_connections = sum(map(len, drawn["connections"]))
        assert n_connections == (96 if spec.name == "symmetric_lenet5" else 60)
    else:
        assert drawn["pooling"] in (1, 4)


def test_the_page_has_every_activation() -> None:
    script = Path(page.__file__).with_name("forward.js").read_text(encoding="utf-8")
    (block,) = re.findall(r"^const ACTIVATIONS = \{\n(.*?)^\};", script, re.DOTALL | re.MULTILINE)
    assert set(re.findall(r"^  (\w+):", block, re.MULTILINE)) == set(ACTIVATIONS)


def test_the_names_need_no_torch() -> None:
    code = (
        "import sys, importlib.util as u; s = u.spec_from_file_location('names', sys.argv[1]);"
        "m = u.module_from_spec(s); sys.modules['names'] = m; s.loader.exec_module(m);"
        "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    )
    subprocess.run([sys.executable, "-S", "-c", code, names.__file__], check=True)
