"""``c3_conv`` when the lanes of a vector hold parts of one map: few images, odd and large maps."""

from __future__ import annotations

import pytest
import torch
from c3_bounds import check_c3_op, problem
from cases import TABLES, on_threads, run_c3, same_bits
from command_line import python

from lenetshift.c3_table import C3_TABLE, table_masks

MANY_OUTPUTS = tuple((i % 3, 3 + i % 2) for i in range(131))


@pytest.mark.parametrize("n", [1, 2, 9])
@pytest.mark.parametrize(
    "size", [(5, 6), (5, 130), (21, 19), (40, 300), (130, 7), (67, 65)], ids=str
)
def test_values_of_few_images(isa: str, size: tuple[int, int], n: int) -> None:
    check_c3_op(n, *TABLES["ragged"], size, torch.float32)


@pytest.mark.parametrize("size", [(9, 131), (33, 34)], ids=str)
def test_values_in_float64(isa: str, size: tuple[int, int]) -> None:
    check_c3_op(3, *TABLES["1998"], size, torch.float64)


@pytest.mark.parametrize("n", [2, 20])
def test_tables_of_more_output_maps_than_are_computed_at_once(isa: str, n: int) -> None:
    check_c3_op(n, MANY_OUTPUTS, 5, (11, 37), torch.float32)


@pytest.mark.parametrize("n", [1, 5, 40])
def test_no_bit_depends_on_the_number_of_threads(n: int) -> None:
    tensors = problem(n, C3_TABLE, 6, (75, 140), torch.float32)
    masks = table_masks(C3_TABLE)
    assert same_bits(on_threads((1, 2, 5), lambda: run_c3(masks, *tensors)))


PEAK = """
import resource, torch, lenetshift
from lenetshift.c3_table import C3_TABLE, table_masks
x, output = torch.randn(1, 6, 2048, 2048), 16 * 2044 * 2044 * 4
weight, bias = torch.randn(60, 5, 5), torch.randn(16)
torch.ops.lenetshift.c3_conv(x[..., :64, :64], weight, bias, table_masks(C3_TABLE))
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
torch.ops.lenetshift.c3_conv(x, weight, bias, table_masks(C3_TABLE))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before - output // 1024)
"""


def test_one_large_image_takes_little_memory_besides_its_output() -> None:
    done = python("-c", PEAK)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) < 80 << 10  # kB: 64 MiB of workspace, and the pages around
