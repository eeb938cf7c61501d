"""The package imported twice in one process."""

from __future__ import annotations

from command_line import python

SCRIPT = """
import sys, torch, lenetshift
first, x = lenetshift, torch.rand(2, 1, 28, 28)
images = torch.randint(0, 256, (2, 28, 28), dtype=torch.uint8)
models, answers = [], []
for _ in range(3):
    import lenetshift
    models.append(lenetshift.build_model("lenet5", seed=0))
    answers.append(lenetshift.predict_shifts(models[-1], images))
    for name in [name for name in sys.modules if name.split(".")[0] == "lenetshift"]:
        del sys.modules[name]
assert lenetshift is not first
for model in models:  # of every import
    logits = model(x)
    logits.sum().backward()
    assert torch.equal(logits, models[0](x))
    assert torch.equal(model.c3.weight.grad, models[0].c3.weight.grad)
assert all(torch.equal(answer, answers[0]) for answer in answers)
print("imported", len(models))
"""


def test_again_after_sys_modules_has_lost_it() -> None:
    done = python("-c", SCRIPT)
    assert done.stdout == "imported 3\n", done.stderr[-1000:]
