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
    "locality",
    "kernels",
    "pooling",
    "symmetry",
    "settings",
    "nearest",
    "position_bias",
    "ladder",
)
"""Of a study, in its order: each is a module of :mod:`lenetshift.study.experiments`."""

NORMALIZATIONS = {
    # with which torchvision's networks were trained (https://pytorch.org/vision/stable/models.html)
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    # np.mean and np.std of CIFAR-10's 50,000 training images / 255, over images, rows and columns
    "cifar10": ((0.4914, 0.4822, 0.4465), (0.2470, 0.2435, 0.2616)),
    # the same of MNIST's; PyTorch's example (https://github.com/pytorch/examples/tree/main/mnist)
    "mnist": ((0.1307,), (0.3081,)),
}
"""Name of a data set -> mean and standard deviation of its channels, in units of pixel / 255."""

INSTRUCTION_SETS = {"portable": "portable, of any processor", "avx2": "AVX2", "avx512": "AVX-512"}
"""Instruction set, as LENETSHIFT_ISA names it -> words for people."""

REPORT_DX, REPORT_DY = range(-5, 6), range(-2, 3)
"""The report's shifts, in pixels (Tanaka 2024)."""
