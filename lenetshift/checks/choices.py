"""Names that arguments and options accept, and the shifts that they take by default.

This file imports nothing, so that ``lenetshift COMMAND --help`` can show them without waiting for torch.
"""

ACTIVATIONS = ("tanh", "relu")
"""Of the models, in the order of ``Activation`` in ``csrc/kernels.h``; each is also the name of a function
of torch (:mod:`lenetshift.ops.activations`)."""

TRAINING_METHODS = ("fused", "autograd")
"""Of :func:`lenetshift.train`."""

EVALUATION_METHODS = ("auto", "fused", "shared", "rewritten", "plain")
"""Of :func:`lenetshift.predict_shifts` and :func:`lenetshift.evaluate_shifts`."""

EXECUTORS = ("torch", "openvino", "onnxruntime")
"""What runs the rewritten network; the extras of the package with these names install them."""

EXPERIMENTS = (
    "table",
    "convolution",
    "pooling",
    "symmetry",
    "settings_grid",
    "position_bias",
    "place_blind",
)
"""Of a study, in its order: each is a module of :mod:`lenetshift.study.experiments`."""

REPORT_DX, REPORT_DY = range(-5, 6), range(-2, 3)
"""The report's shifts, in pixels (Tanaka 2024)."""
