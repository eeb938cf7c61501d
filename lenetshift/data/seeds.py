"""Random numbers that a seed determines.

The package draws from its own generators and leaves torch's global ones alone. The one exception is
:func:`seeded_global`, for the random numbers that a user's model draws in training.
"""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

_global_lock = threading.RLock()  # held while a model draws from the seeded global generators
_forked = False


def generator(seed: int) -> torch.Generator:
    """A new CPU generator, seeded with 32 bits."""
    return torch.Generator("cpu").manual_seed(seed)


def epoch_seed(seed: int, epoch: int) -> int:
    """32 bits from (seed, epoch), hashed: neighbouring seeds and epochs do not collide, and no epoch
    starts from the state of the generator that drew the weights."""
    return int.from_bytes(hashlib.sha256(f"{seed} {epoch}".encode()).digest()[:4], "big")


def epoch_permutation(n: int, seed: int, epoch: int) -> Tensor:
    """Order of ``n`` images in an epoch: int64 ``[n]`` on the CPU, determined by the arguments."""
    seed = epoch_seed(seed, epoch)
    if _forked:
        return torch.from_numpy(_randperm(n, seed))
    return torch.randperm(n, generator=generator(seed), device="cpu")


def epoch_choices(n: int, n_choices: int, seed: int, epoch: int) -> Tensor:
    """One of ``n_choices`` for each of ``n`` images in an epoch: int64 ``[n]`` on the CPU, determined by
    the arguments, from other random numbers than the epoch's order."""
    digest = hashlib.sha256(f"choices {seed} {epoch}".encode()).digest()
    own = generator(int.from_bytes(digest[:4], "big"))
    return torch.randint(n_choices, (n,), generator=own, device="cpu")


@contextmanager
def seeded_global(seed: int, device: torch.device) -> Iterator[None]:
    """Seed torch's global CPU generator and that of a CUDA ``device``; restore their states afterwards.

    Only one thread at a time is inside; others wait. A thread that draws from the global generators
    without this context is not kept out: it draws from the same sequence.
    """
    devices = [device] if device.type == "cuda" else []
    with _global_lock, torch.random.fork_rng(devices=devices):
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every device
        for cuda in devices:
            with torch.cuda.device(cuda):
                torch.cuda.manual_seed(seed)
        yield


def _randperm(n: int, seed: int) -> np.ndarray:
    """The same as ``torch.randperm`` to the bit, without torch's threads, which hang in a forked child:
    both use the Mersenne Twister and a Fisher-Yates shuffle. MNIST takes 8 ms instead of 0.3 ms."""
    first = np.arange(max(n - 1, 0))
    draws = np.random.RandomState(seed).randint(0, 2**32, len(first), dtype=np.uint32)
    order = list(range(n))
    for i, j in enumerate((first + draws % (n - first)).tolist()):
        order[i], order[j] = order[j], order[i]
    return np.array(order, dtype=np.int64)


def _after_fork() -> None:
    global _global_lock, _forked
    _global_lock = threading.RLock()  # the thread that held it is not in the child
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
