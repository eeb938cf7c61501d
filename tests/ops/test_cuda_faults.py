"""Tests of the tests of the CUDA kernels in emulation: faults planted in copies of the sources are caught."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from cuda_emulation.builds import changed
from cuda_emulation.emulator import EmulationError, Emulator, compiler
from cuda_emulation.kernels import EmulatedKernels
from cuda_matrix import (
    ONE_TILE,
    ORDERED,
    SHIFTS,
    Kernels,
    check_c3,
    check_c3_conv,
    check_predictions,
    check_training,
    run_c3_conv,
)

from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks
from lenetshift.shifts import ShiftGrid

pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler"),
]


def c3(kernels: Kernels) -> None:
    # 11 x 12 maps end within a patch; LeNet's own end with one.
    masks = table_masks(C3_TABLE)
    check_c3_conv(
        lambda *tensors: run_c3_conv(kernels, tensors, masks),
        2,
        C3_TABLE,
        6,
        (15, 16),
        torch.float32,
    )


def c3_few(kernels: Kernels) -> None:
    check_c3(kernels, 2, "1998", (14, 14), torch.float32)


def c3_many(kernels: Kernels) -> None:
    # One image in the last block.
    check_c3(kernels, 257, "one", (14, 14), torch.float32)


def translate(kernels: Kernels) -> None:
    images = torch.arange(1, 61, dtype=torch.uint8).view(2, 5, 6)
    moved = kernels.translate(images, SHIFTS)
    assert torch.equal(moved, reference.translate(images, SHIFTS)), "the moved images differ"


def shift_each(kernels: Kernels) -> None:
    images = torch.arange(1, 61, dtype=torch.uint8).view(2, 5, 6)
    moved = kernels.shift_each(images, SHIFTS[1:3])
    assert torch.equal(moved, reference.shift_each(images, SHIFTS[1:3])), "the moved images differ"


def predict(name: str) -> Callable[[Kernels], None]:
    return lambda kernels: check_predictions(kernels, name, "dense", 2, ShiftGrid(range(3, 5)))


def predict_tile(kernels: Kernels) -> None:
    # A part of a tile. With so many inked cells, each point has two sums. What leaves the frame on
    # the left would meet weights of another row, as would what is no pixel on the right.
    check_predictions(kernels, "mlp", "dense", 2, ShiftGrid(range(-4, -1), range(2, 5)))


def predict_one_cell(kernels: Kernels) -> None:
    check_predictions(kernels, "mlp", "pixels", 1, ONE_TILE)


def predict_mixed_order(kernels: Kernels) -> None:
    # The fourth digit's box is the first in their order.
    check_predictions(kernels, "mlp", "digits", 4, ONE_TILE)


def predict_few_shifts(kernels: Kernels) -> None:
    check_predictions(kernels, "mlp", "dense", 1, ShiftGrid(range(3, 4), range(1)))


def predict_pooled(kernels: Kernels) -> None:
    # Two strips, and units for both warps of an item.
    check_predictions(kernels, "pooled_mlp", "dense", 2, ShiftGrid(range(3, 5)), n_hidden=130)


def predict_pooled_in_order(kernels: Kernels) -> None:
    check_predictions(kernels, "pooled_mlp", "digits", 34, ORDERED)


def train(name: str) -> Callable[[Kernels], None]:
    return lambda kernels: check_training(kernels, name, 3, 2)


HIDDEN = "use-after-poison"  # the card's memory, during a capture
RACE, BEYOND, BEYOND_SHARED = "data race", "heap-buffer-overflow", "global-buffer-overflow"
# What catches it and the expected message; what finds it; the unit; the file if it is another; the
# text and its replacement.
FAULTS = {
    "c3_conv: write beyond the output": (
        ("address", BEYOND), c3, "conv/c3_conv.cu", "",
        "y >= targets.height || x >= targets.width", "y > targets.height || x >= targets.width",
    ),
    "c3_conv: read beyond dynamic shared memory": (
        ("address", BEYOND), c3, "conv/c3_conv.cu", "",
        "grid, kStagedValues<Shape, T> * sizeof(T)", "grid, kStagedValues<Shape, T> * sizeof(T) / 2",
    ),
    "c3_conv: missing barrier": (
        ("thread", RACE), c3, "conv/c3_conv.cu", "",
        "n_staged, windows);\n    __syncthreads();", "n_staged, windows);",
    ),
    "c3_conv: missing barrier before reuse": (
        ("thread", RACE), c3, "conv/c3_conv.cu", "",
        "  __syncthreads();\n  static_assert", "  static_assert",
    ),
    "c3_conv: wrong index": (
        ("thread", "output: worst error"), c3, "conv/c3_conv.cu", "",
        "sum[r][x] += w[u * kTaps + v]", "sum[r][x] += w[v * kTaps + u]",
    ),
    "c3_conv: a thread that leaves": (
        ("thread", "a thread returned before this barrier"), c3, "conv/c3_conv.cu", "",
        "  T sum[kRowsPerLane][Shape::kColumns] = {};",
        "  if (!busy) return;\n  T sum[kRowsPerLane][Shape::kColumns] = {};",
    ),
    "c3_conv: partial shuffle": (
        ("thread", "a shuffle with a partial mask"), c3, "conv/c3_conv.cu", "device.h",
        "__shfl_xor_sync(kAllLanes, value, step)", "__shfl_xor_sync(0xffffu, value, step)",
    ),
    "c3_conv: arguments of more than 4 KB": (
        ("thread", "more than a kernel's arguments may have"), c3, "conv/c3_conv.cu", "conv/table_rows.h",
        "kTableOutputs = 128;", "kTableOutputs = 512;",
    ),
    "c3_conv: the bias taken for an input map": (
        ("address", BEYOND), c3, "conv/c3_conv.cu", "",
        "if (c == inputs.n)", "if (c > inputs.n)",
    ),
    "c3_conv: write beyond the gradient of the bias": (
        ("address", BEYOND), c3, "conv/c3_conv.cu", "",
        "gradients[i < n_weights ? i : i - n_weights]", "gradients[i]",
    ),
    "c3_conv: an image left out of the gradient of the bias": (
        ("thread", "bias: worst error"), c3, "conv/c3_conv.cu", "",
        "image = blockIdx.x; image < n_images", "image = blockIdx.x + 1; image < n_images",
    ),
    "c3_conv: a warp's sums of slots left out": (
        ("address", "grad_weight: worst error"), c3_few, "conv/c3_conv.cu", "",
        "for (int w = 1; w < kWarps; ++w) sum", "for (int w = 2; w < kWarps; ++w) sum",
    ),
    "c3_conv of LeNet-5: read beyond the input": (
        ("address", BEYOND), c3_many, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "smaller(left - 1, image())", "smaller(left, image())",
    ),
    "c3_conv of LeNet-5: write beyond the output": (
        ("address", BEYOND), c3_many, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "if (to < n)", "if (to <= n)",
    ),
    "c3_conv of LeNet-5: read beyond dynamic shared memory": (
        ("address", BEYOND), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "n_images * kInPitch + kMostWeights + kWarps", "n_images * kInPitch + kWarps",
    ),
    "c3_conv of LeNet-5: an output map left out": (
        ("address", "output: worst error nan"), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "warp : kMaps3 - 1 - warp", "warp : kMaps3 - 2 - warp",
    ),
    "c3_conv of LeNet-5: missing barrier": (
        ("thread", RACE), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "weight_share.store(weights, Block::kWeightPitch, n_weights);\n  __syncthreads();",
        "weight_share.store(weights, Block::kWeightPitch, n_weights);",
    ),
    "c3_conv of LeNet-5: missing barrier of a warp": (
        ("thread", RACE), c3_many, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "__syncwarp();  // the previous results", "// the previous results",
    ),
    "c3_conv of LeNet-5: missing barrier before the input is overwritten": (
        ("thread", RACE), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "__syncthreads();  // the input", "// the input",
    ),
    "c3_conv of LeNet-5: missing barrier before the parts are added": (
        ("thread", RACE), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "  __syncthreads();\n  const int n_weights", "  const int n_weights",
    ),
    "c3_conv of LeNet-5: half an image left out": (
        ("address", "grad_weight: worst error"), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "part == kSumParts ? kHalves", "part == kSumParts ? kHalves - 1",
    ),
    "c3_conv of LeNet-5: half the bias gradient": (
        ("address", "grad_bias: worst error"), c3_few, "conv/c3_conv.cu", "conv/connections.h",
        "+= two.x + two.y", "+= two.x",
    ),
    "c3_conv of LeNet-5: columns not mirrored": (
        ("address", "grad_input: worst error"), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "column_step(flip_columns ? -1 : 1)", "column_step(1)",
    ),
    "c3_conv of LeNet-5: parts of the connections not added": (
        ("address", "grad_input: worst error"), c3_few, "conv/c3_conv.cu", "conv/c3_lenet5.h",
        "step >= 4 * n_images;", "step > 4 * n_images;",
    ),
    "translate: write beyond the output": (
        ("address", BEYOND), translate, "images/translate.cu", "",
        "r < n_runs;", "r <= n_runs;",
    ),
    "translate: wrong index": (
        ("thread", "the moved images differ"), translate, "images/translate.cu", "",
        "% c.width - dx", "% c.width + dx",
    ),
    "shift_each: wrong shift": (
        ("thread", "the moved images differ"), shift_each, "images/translate.cu", "",
        "shifts + 2 * (i / shape.n_channels)", "shifts + i / shape.n_channels",
    ),
    "predict: missing barrier": (
        ("thread", RACE), predict("lenet5"), "lenet5/predict.cu", "lenet5/s4.h",
        "weight, lossy, c3);\n    __syncthreads();", "weight, lossy, c3);",
    ),
    "predict: missing barrier before reuse": (
        ("thread", RACE), predict("lenet5"), "lenet5/predict.cu", "lenet5/c5.h",
        "f6_layer(act, w, shared);\n  __syncthreads();", "f6_layer(act, w, shared);",
    ),
    "predict: wrong edge line": (
        ("thread", "logits: worst error"), predict("lenet5"), "lenet5/predict.cu", "lenet5/canvas.h",
        "Lines{f + own_last, f + own_last, n_before + edge}", "Lines{f + own_last, f, n_before + edge}",
    ),
    "predict: read beyond S4": (
        ("address", BEYOND), predict("lenet5"), "lenet5/predict.cu", "lenet5/c5.h",
        "number < n_patterns ? number : n_patterns - 1", "number",
    ),
    "predict: more shared memory than every card has": (
        ("thread", "more than 64 KB of shared memory"), predict("lenet5"), "lenet5/predict.cu", "",
        "kC5Shared * sizeof(float)", "kC5Shared * sizeof(double)",
    ),
    "predict: missing barrier of a perceptron": (
        ("thread", RACE), predict_few_shifts, "perceptron/predict_mlp.cu", "perceptron/predict.h",
        "kDepth);\n  __syncthreads();", "kDepth);",
    ),
    "predict the pooled MLP: missing barrier before an item is read": (
        ("thread", "ThreadSanitizer"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "n_items, item);\n  __syncthreads();", "n_items, item);",
    ),
    "predict the pooled MLP: missing barrier before weights are overwritten": (
        ("thread", RACE), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "__syncthreads();  // the weights of the strip before", "// the weights of the strip before",
    ),
    "predict the pooled MLP: missing barrier before weights are read": (
        ("thread", RACE), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "load4(from + i + t * 4));\n    __syncthreads();", "load4(from + i + t * 4));",
    ),
    "predict the pooled MLP: missing barrier before windows are overwritten": (
        ("thread", RACE), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "__syncthreads();  // the windows", "// the windows",
    ),
    "predict the pooled MLP: missing barrier before logits are added": (
        ("thread", RACE), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "= logit[o];\n  __syncthreads();", "= logit[o];",
    ),
    "predict the pooled MLP: a window left out that is not blank": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "images_with_ink != 0", "images_with_ink > 3",
    ),
    "predict the pooled MLP: a blank window that meets weights": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "kZerosRow * kRowBytes", "0",
    ),
    "predict the pooled MLP: a window beyond the frame": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "x >= 0 && x < kWindows", "x < kWindows",
    ),
    "predict the pooled MLP: the logits of one warp left out": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "item.sums[o * kItemImages + lane] + output_bias[o]", "output_bias[o]",
    ),
    "predict the pooled MLP: half the lanes' shares of the logits left out": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "share[m] + __shfl_xor_sync(kAllLanes, share[m + 4], 4)", "share[m]",
    ),
    "predict the pooled MLP: lanes' shares of the logits left out": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "warp_sums<4>(kept)", "kept[threadIdx.x % 4]",
    ),
    "predict the pooled MLP: an image taken for another one": (
        ("address", "logits: worst error"), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "images + static_cast<int>(threadIdx.x % 4)", "images + static_cast<int>((threadIdx.x + 1) % 4)",
    ),
    "predict the pooled MLP: answers in the order of the boxes": (
        ("address", "logits: worst error"), predict_pooled_in_order, "perceptron/predict_pooled_mlp.cu", "",
        "first + memory.order.at(place);", "first + place;",
    ),
    "predict the pooled MLP: write beyond the predictions": (
        ("address", BEYOND), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        " || place >= n_images", "",
    ),
    "predict the pooled MLP: write beyond dynamic shared memory": (
        ("address", BEYOND), predict_pooled, "perceptron/predict_pooled_mlp.cu", "",
        "+ kBlockItems * sizeof(Item)", "+ (kBlockItems - 1) * sizeof(Item)",
    ),
    "predict the MLP in tiles: missing barrier before the stages are overwritten": (
        ("thread", RACE), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "__syncthreads();  // the stages", "// the stages",
    ),
    "predict the MLP in tiles: missing barrier before the sums are overwritten": (
        ("thread", RACE), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "__syncthreads();  // the sums", "// the sums",
    ),
    "predict the MLP in tiles: missing barrier before hidden units are overwritten": (
        ("thread", RACE), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "__syncthreads();  // the hidden units", "// the hidden units",
    ),
    "predict the MLP in tiles: missing barrier of a warp": (
        ("thread", RACE), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "__syncwarp();  // the previous cells", "// the previous cells",
    ),
    "predict the MLP in tiles: missing barrier before inked cells are read": (
        ("thread", RACE), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "    if (lane == 0) n_inked = before;\n  }\n  __syncthreads();",
        "    if (lane == 0) n_inked = before;\n  }",
    ),
    "predict the MLP in tiles: write beyond dynamic shared memory": (
        ("address", BEYOND), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "n_groups), kCellsShared,", "n_groups), kSumsSize * sizeof(float),",
    ),
    "predict the MLP in tiles: write beyond the predictions": (
        ("address", BEYOND), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "x >= job.grid.n_dx || ", "",
    ),
    "predict the MLP in tiles: pixels beyond the frame": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "y0 + y < kImageSize && x0 + x < kImageSize", "y0 + y < kImageSize",
    ),
    "predict the MLP in tiles: weights beyond the frame": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "y < kImageSize && x >= 0 && x < kImageSize;", "y < kImageSize && x < kImageSize;",
    ),
    "predict the MLP in tiles: a point taken for another one": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "outputs.x[2 * pair + half][j]", "outputs.x[2 * pair][j]",
    ),
    "predict the MLP in tiles: units turned and not turned back": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "unit * kCellImages + turned(unit, lane)", "unit * kCellImages + lane",
    ),
    "predict the MLP in tiles: the second sum left out": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "step < kPairs * n_sums;", "step < kPairs * n_sums; step += n_sums - 1,",
    ),
    "predict the MLP in tiles: the last cells left out": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "first < end; first += kCellDepth", "first + kCellDepth <= end; first += kCellDepth",
    ),
    "predict the MLP in tiles: the blank cell is not blank": (
        ("address", "logits: worst error"), predict_one_cell, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "if (i < n_inked) load(inked[i], pixel);", "load(inked[smaller(i, n_inked - 1)], pixel);",
    ),
    "predict the MLP in tiles: a strip left out": (
        ("address", "logits: worst error"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "strip < memory.n_strips;", "strip + 1 < memory.n_strips;",
    ),
    "predict the MLP in tiles: answers in the order of the boxes": (
        ("address", "logits: worst error"), predict_mixed_order, "perceptron/predict_mlp.cu",
        "perceptron/mlp_form.h",
        "first + memory.order.at(place);", "first + place;",
    ),
    "predict the MLP in tiles: two images in the same place": (
        ("address", "AddressSanitizer"), predict_tile, "perceptron/predict_mlp.cu",
        "perceptron/image_order.h",
        "place += box[j] == box[i] ? 1 : 0", "place += 0",
    ),
    "train: missing barrier": (
        ("thread", RACE), train("lenet5"), "lenet5/train.cu", "",
        "c1_forward(act, v);\n  __syncthreads();", "c1_forward(act, v);",
    ),
    "train: missing barrier before C3's gradients are read": (
        ("thread", RACE), train("lenet5"), "lenet5/train.cu", "",
        "image, w.output_grad);\n  __syncthreads();", "image, w.output_grad);",
    ),
    "train: missing barrier of a warp": (
        ("thread", RACE), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        "  __syncwarp();\n  // Their activations", "  // Their activations",
    ),
    "train: missing barrier before a tile's parts are added": (
        ("thread", RACE), train("lenet5"), "lenet5/train.cu", "math/sgd.h",
        "  __syncthreads();\n  float total", "  float total",
    ),
    "train: wrong index": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        "(y + u) * kImagePitch + half", "(y + 4 - u) * kImagePitch + half",
    ),
    "train: write beyond the slot": (
        ("address", BEYOND), train("lenet5"), "lenet5/train.cu", "",
        "slots = workspace.take<float>(n_slots * n_grads)",
        "slots = workspace.take<float>(n_slots)",
    ),
    "train: write beyond dynamic shared memory": (
        ("address", BEYOND), train("lenet5"), "lenet5/train.cu", "",
        "sizeof(Lenet5Values), stream", "sizeof(Lenet5Values) - sizeof(Connections), stream",
    ),
    "train: fewer threads than a block needs": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "",
        "launch<kGradientThreads>", "launch",
    ),
    "train: a part of C3's connections left out": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        " +\n                 __shfl_down_sync(kAllLanes, sum[0][x], 2 * kC3Side)", "",
    ),
    "train: a part of the connections left out of S2's gradient": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        "four + __shfl_down_sync(kAllLanes, sum[x], 4 * kMaps1)", "four",
    ),
    "train: a row left out of S2's gradient": (
        ("thread", "worst error nan"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        "if (y < kTaps - 1) s2_grad_row", "if (y < kTaps - 2) s2_grad_row",
    ),
    "train: half an image left out of C3's gradient": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        "sum[i] += __shfl_xor_sync(kAllLanes, sum[i], kWarp / 2);", "__syncwarp();",
    ),
    "train: half the columns left out of C1's gradient": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "lenet5/gradients.h",
        " + v.c1_sums[2 * o + 1][at]", "",
    ),
    "train: a part of the sums back through F6 left out": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "",
        "part < kF6Parts; ++part", "part < kF6Parts - 1; ++part",
    ),
    "train: lanes left out of a dense layer": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "device.h",
        "for (int step = n_all; step", "for (int step = 2 * n_all; step",
    ),
    "train: a part of C5's weights used twice": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "",
        "columns.load(p.c5, 5);", "columns.parts[5] = columns.parts[4];",
    ),
    "train: the images of a warp left out": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "math/sgd.h",
        "for (int w = 0; w < kWarps; ++w) total", "for (int w = 1; w < kWarps; ++w) total",
    ),
    "train: an input taken for the bias": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "math/sgd.h",
        "column < n_inputs ? image_x[column]", "column <= n_inputs ? image_x[column]",
    ),
    "train: missing barrier of a perceptron": (
        ("thread", RACE), train("mlp"), "perceptron/train_mlp.cu", "perceptron/train.h",
        "sum[i]);\n      }\n    }\n    __syncthreads();", "sum[i]);\n      }\n    }",
    ),
    "train: write beyond static shared memory": (
        ("address", BEYOND_SHARED), train("mlp"), "perceptron/train_mlp.cu", "perceptron/train.h",
        "turn < kStageImages * kStageInputs /", "turn <= kStageImages * kStageInputs /",
    ),
    "train: write beyond the weights": (
        ("address", BEYOND), train("pooled_mlp"), "perceptron/train_pooled_mlp.cu", "perceptron/train.h",
        "if (h >= p.n_hidden) continue;", "",
    ),
    "predict: a launch on the default stream": (
        ("thread", "a launch on another stream"), predict("lenet5"), "lenet5/predict.cu", "",
        "kS4Shared * sizeof(float), stream, act", "kS4Shared * sizeof(float), nullptr, act",
    ),
    "predict: a launcher that waits": (
        ("thread", "cudaStreamSynchronize.* was not declared"), predict("lenet5"), "lenet5/predict.cu", "",
        "if (job.n_images == 0) return;", "if (job.n_images == 0) return;\n  cudaStreamSynchronize(stream);",
    ),
    "train: a launcher that reads labels": (
        ("address", HIDDEN), train("lenet5"), "lenet5/train.cu", "",
        "const TableRows table = table_of(model.table);\n  const unsigned n_blocks",
        "const TableRows table = table_of(model.table);\n  if (epoch.labels[0] > 9) return;\n"
        "  const unsigned n_blocks",
    ),
    "train: a launcher that reads labels, without AddressSanitizer": (
        ("thread", "worst error"), train("lenet5"), "lenet5/train.cu", "",
        "const TableRows table = table_of(model.table);\n  const unsigned n_blocks",
        "const TableRows table = table_of(model.table);\n  if (epoch.labels[0] < 0) return;\n"
        "  const unsigned n_blocks",
    ),
    "train: shared memory that nobody wrote": (
        ("thread", "worst error nan"), train("mlp"), "perceptron/train_mlp.cu", "perceptron/train.h",
        "    x[i / kStageInputs", "    if (image < batch.n) x[i / kStageInputs",
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, tmp_path: Path) -> None:
    (build, message), find, unit, file, text, replacement = FAULTS[fault]
    planted = changed(tmp_path, {file or unit: (text, replacement)}, unit)
    with pytest.raises((EmulationError, AssertionError), match=message):
        find(EmulatedKernels(Emulator(tmp_path, build, planted)))
