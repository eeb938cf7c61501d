"""The CUDA kernels of c3_conv and translate, run on the CPU by the emulation, sanitized.

The kernels' sources are those of the product, compiled as C++ (tests/cuda_emulation/emulation.h).
"""

from __future__ import annotations

import functools
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from c3_bounds import check_c3_conv, problem
from cuda_emulation.emulator import BUILDS, CUDA, HERE, EmulationError, Emulator, compiler
from test_c3_conv import TABLES
from test_translate import SHIFTS
from torch import Tensor

from lenetshift import reference
from lenetshift.c3_table import C3_TABLE, table_masks

pytestmark = pytest.mark.skipif(compiler() is None, reason="needs a C++ compiler")

ALL_TABLES = TABLES | {
    # More rows than one launch takes, and inputs that are staged in several turns.
    "long": (tuple((i % 7,) for i in range(131)), 7),
    "wide": (((0, 5, 61), tuple(range(62))), 62),
}
SIZES = [(5, 5), (9, 6), (14, 14), (15, 26), (7, 25)]
COUNTS = [0, 1, 3, 4, 5, 13]

folder = tempfile.TemporaryDirectory(prefix="lenetshift_emulation")


@functools.cache
def emulator(build: str) -> Emulator:
    sources = [CUDA / "c3_conv.cu", CUDA / "translate.cu"]
    return Emulator(Path(folder.name), build, sources, calls())


def calls() -> list[Path]:
    return [HERE / "c3_conv_calls.cpp", HERE / "translate_calls.cpp"]


def unwritten(shape: torch.Size, dtype: torch.dtype) -> np.ndarray:
    """What a kernel must overwrite: NaN."""
    return torch.full(shape, torch.nan, dtype=dtype).numpy()


def run_c3_conv(
    run: Emulator,
    masks: list[int],
    input: Tensor,
    weight: Tensor,
    bias: Tensor,
    upstream: Tensor,
    order: str = "forward",
) -> list[Tensor]:
    table = np.array(masks, np.int64)
    dtype = input.dtype
    suffix = str(dtype).removeprefix("torch.")
    shape = list(input.shape)
    arrays = [table, input.numpy(), weight.numpy(), bias.numpy(), unwritten(upstream.shape, dtype)]
    output = run(f"c3_conv_{suffix}", shape, arrays, order)[4]
    gradients = [unwritten(t.shape, dtype) for t in (input, weight, bias)]
    arrays = [table, upstream.numpy(), input.numpy(), weight.numpy(), *gradients]
    gradients = run(f"c3_conv_backward_{suffix}", shape, arrays, order)[4:]
    return [torch.from_numpy(array) for array in (output, *gradients)]


def check(build: str, n: int, table_name: str, size: tuple[int, int], dtype: torch.dtype) -> None:
    table, n_inputs = ALL_TABLES[table_name]
    run = functools.partial(run_c3_conv, emulator(build), table_masks(table))
    check_c3_conv(run, n, table, n_inputs, size, dtype)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("table_name", ALL_TABLES)
def test_c3_conv_tables(table_name: str, dtype: torch.dtype) -> None:
    check("plain", 2, table_name, (7, 11), dtype)


@pytest.mark.parametrize("size", SIZES, ids=str)
def test_c3_conv_sizes(size: tuple[int, int]) -> None:
    check("plain", 2, "ragged", size, torch.float32)


@pytest.mark.parametrize("n", COUNTS)
def test_c3_conv_batch_sizes(n: int) -> None:
    check("plain", n, "1998", (14, 14), torch.float32)


def test_c3_conv_many_patch_groups() -> None:
    """More groups than parts of the sums over images."""
    check("plain", 400, "one", (6, 5), torch.float32)


@pytest.mark.parametrize("build", ["address", "thread"])
@pytest.mark.parametrize(
    ("n", "table_name", "size", "dtype"),
    [
        (2, "1998", (14, 14), torch.float32),
        (1, "ragged", (15, 6), torch.float64),
        (7, "one", (5, 5), torch.float32),
        (0, "one", (5, 5), torch.float32),
    ],
)
def test_c3_conv_sanitized(
    build: str, n: int, table_name: str, size: tuple[int, int], dtype: torch.dtype
) -> None:
    check(build, n, table_name, size, dtype)


def test_c3_conv_does_not_depend_on_the_order_of_blocks() -> None:
    tensors = problem(9, C3_TABLE, 6, (14, 14), torch.float32)
    masks = table_masks(C3_TABLE)
    results = [
        run_c3_conv(emulator("plain"), masks, *tensors, order=order)
        for order in ("forward", "reverse")
    ]
    assert all(torch.equal(a, b) for a, b in zip(*results, strict=True))


def run_translate(build: str, images: Tensor, shifts: Tensor) -> Tensor:
    n_planes = int(np.prod(images.shape[1:-2]))
    output = torch.ones((images.shape[0], len(shifts), *images.shape[1:]), dtype=images.dtype)
    numbers = [images.shape[0], len(shifts), n_planes, *images.shape[-2:], images.element_size()]
    arrays = [images.numpy(), shifts.numpy(), output.numpy()]
    return torch.from_numpy(emulator(build)("translate", numbers, arrays)[2])


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize(
    "dtype", [torch.uint8, torch.bool, torch.int16, torch.float32, torch.float64, torch.complex128]
)
def test_translate(build: str, dtype: torch.dtype) -> None:
    far = torch.tensor([(2**63 - 1, -(2**63)), (-(2**63), 1), (1, 2**63 - 1)])
    shifts = torch.cat([SHIFTS, far])
    for shape in [(2, 7, 6), (2, 3, 5, 8), (0, 7, 6), (1, 2, 2, 1, 1), (1, 12, 28)]:
        images = torch.randint(1, 200, shape).to(dtype)
        # The reference slices; Python's integers do not overflow.
        assert torch.equal(
            run_translate(build, images, shifts), reference.translate(images, shifts)
        )


@pytest.mark.parametrize("build", BUILDS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_translate_gradient(build: str, dtype: torch.dtype) -> None:
    images = torch.randn(2, 3, 7, 6, dtype=dtype, requires_grad=True)
    moved = torch.ops.lenetshift.translate(images, SHIFTS)
    upstream = torch.randn_like(moved)
    (expected,) = torch.autograd.grad(moved, images, upstream)
    name = f"translate_backward_{str(dtype).removeprefix('torch.')}"
    numbers = [2, len(SHIFTS), 3, 7, 6, images.element_size()]
    arrays = [upstream.numpy(), SHIFTS.numpy(), unwritten(images.shape, dtype)]
    got = torch.from_numpy(emulator(build)(name, numbers, arrays)[2])
    assert torch.equal(got, expected)  # to the last bit: the CPU's order of adding


# Tests of the tests: faults planted in copies of the sources have to be caught.

FAULTS = {
    # name: (build that catches it, file, text, its replacement, what is said)
    "write beyond the array": (
        "address",
        "c3_conv.cu",
        "y >= targets.height || x >= targets.width",
        "y > targets.height || x >= targets.width",
        "heap-buffer-overflow",
    ),
    "read beyond shared memory": (
        "address",
        "c3_conv.cu",
        "kStagedValues<Tile, T> * sizeof(T), stream",
        "kStagedValues<Tile, T> * sizeof(T) / 2, stream",
        "heap-buffer-overflow",
    ),
    "missing barrier": (
        "thread",
        "c3_conv.cu",
        "n_staged, windows);\n    __syncthreads();",
        "n_staged, windows);",
        "data race",
    ),
    "missing barrier before reuse": (
        "thread",
        "c3_conv.cu",
        "  __syncthreads();\n  static_assert",
        "  static_assert",
        "data race",
    ),
    "wrong index": (
        "plain",
        "c3_conv.cu",
        "sum[r][x] += w[u * kTaps + v]",
        "sum[r][x] += w[v * kTaps + u]",
        "output: worst error",
    ),
    "a thread that leaves": (
        "plain",
        "c3_conv.cu",
        "  T sum[kRowsPerLane][Tile::kColumns] = {};",
        "  if (!busy) return;\n  T sum[kRowsPerLane][Tile::kColumns] = {};",
        "a thread returned before this barrier",
    ),
    "partial shuffle": (
        "plain",
        "c3_conv.cu",
        "__shfl_xor_sync(kAllLanes, sum[i], step)",
        "__shfl_xor_sync(0xffffu, sum[i], step)",
        "a shuffle with a partial mask",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_planted_faults_are_caught(fault: str, tmp_path: Path) -> None:
    build, file, text, replacement, message = FAULTS[fault]
    source = (CUDA / file).read_text()
    assert text in source
    planted = tmp_path / file
    planted.write_text(source.replace(text, replacement))
    run = Emulator(tmp_path, build, [planted], [HERE / "c3_conv_calls.cpp"])
    masks = table_masks(C3_TABLE)
    # 11 x 12 maps end within a patch; LeNet's own end with one.
    with pytest.raises((EmulationError, AssertionError), match=message):
        check_c3_conv(
            functools.partial(run_c3_conv, run, masks), 2, C3_TABLE, 6, (15, 16), torch.float32
        )
