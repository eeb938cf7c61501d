"""The experiments' networks in words, for figures and tables."""

from __future__ import annotations

from .networks import MLP_FOLDS

POOLINGS = {
    "average": "average pooling",
    "subsampling": "subsampling",
    "max": "max pooling",
    "blur": "BlurPool",
    "max_blur": "max-BlurPool",
}

NETWORKS: dict[str, str] = {
    "lenet5": "LeNet-5",
    "mlp": "MLP",
    "symmetric_lenet5": "symmetric LeNet-5",
    "pooled_mlp": "pooled MLP",
    **{
        f"mlp_{pooling}_{k}": f"MLP, {k} x {k} {POOLINGS[pooling]}"
        for pooling in ("average", "max", "subsampling")
        for k in MLP_FOLDS[1:]
    },
    **{f"lenet5_{name}": f"LeNet-5, {words}" for name, words in POOLINGS.items()},
    **{f"lenet5_s2_{side}": f"LeNet-5, S2 of {side} x {side}" for side in (12, 11, 7)},
    **{f"lenet5_kernel_{side}": f"LeNet-5, {side} x {side} kernels" for side in (3, 7, 9)},
    "lenet5_permuted": "LeNet-5, permuted pixels",
    "mlp_permuted": "MLP, permuted pixels",
    "lenet5_untied": "LeNet-5, weights of each place",
    "lenet5_random_filters": "LeNet-5, random filters",
    "lenet5_global_average_s4": "LeNet-5, global average after S4",
    "lenet5_global_average_c5": "LeNet-5, global average after C5",
    "lenet5_global_max_c5": "LeNet-5, global maximum after C5",
    "place_blind": "last step of the ladder",
}
"""Network, or setting that is named like one -> words. The ladder's have those of
:data:`lenetshift.study.experiments.ladder.STEPS`."""
