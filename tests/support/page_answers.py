"""What the page answers, beside what the package does."""

import numpy as np
import torch

import lenetshift
from lenetshift.data.dataset import as_input
from lenetshift.models.table import ARCHITECTURES
from lenetshift.page.mended import MENDED, mended_network
from lenetshift.reference import translate

GRID = lenetshift.ShiftGrid()
NEAR_TIE = 1e-4
"""Two largest logits so close may be taken either way round by another order of sums."""


MENDED_NAMES = [item.name for item in MENDED]
"""The networks that come with the package: the page keeps no answers of theirs."""

FEW = 12
"""Images for these networks, whose layers are large in double precision."""


def network(results, name):
    """A network of the run, or of the package, in double precision."""
    if name in MENDED_NAMES:
        return mended_network(name).double()
    kept = torch.load(results / "checkpoints" / f"{name}.pt", weights_only=True)
    model = lenetshift.build_model(ARCHITECTURES[name], kept["settings"]["activation"])
    model.load_state_dict(kept["state_dict"])
    return model.double()


@torch.no_grad()
def logits_of(model, images, shifts):
    """float64 [N, n_shifts, 10] of uint8 images [N, 28, 28]."""
    moved = translate(images, torch.tensor(shifts))
    return model(as_input(moved.flatten(0, 1), torch.float64)).unflatten(0, moved.shape[:2])


def check_answers(page, results, images, grid, n):
    """Every forward pass of the page on ``n`` images under every shift, and the answers it keeps,
    against the package; returns how many near-ties were let pass."""
    shifts = grid.shifts().tolist()
    n_ties, n_wanted = 0, n
    with np.load(results / "predictions.npz") as arrays:
        for number, name in enumerate(page.evaluate("lenetshift.models")):
            n = min(n_wanted, FEW) if name in MENDED_NAMES else n_wanted
            answers = page.evaluate(
                """([model, n, shifts]) => Array.from({ length: n }, (_, row) =>
                     shifts.map(([dx, dy]) => lenetshift.answer(model, row, dx, dy)))""",
                [number, n, shifts],
            )
            logits = logits_of(network(results, name), images[:n], shifts)
            first, second = logits.topk(2).values.unbind(-1)
            clear = first - second > NEAR_TIE
            expected = logits.argmax(-1)
            assert torch.equal(torch.tensor(answers)[clear], expected[clear]), name
            n_ties += int((~clear).sum())
            if name in MENDED_NAMES:
                continue
            saved = page.evaluate(
                """([model, n]) => Array.from({ length: n }, (_, row) => lenetshift.saved(model, row))""",
                [number, len(arrays["labels"])],
            )
            assert np.array_equal(np.array(saved).reshape(arrays[name].shape), arrays[name]), name
    return n_ties
