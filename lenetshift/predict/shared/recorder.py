"""Runs a network on a few images and records the ATen operations that it consists of.

The network runs as it always does, on ordinary tensors, so that conditions on shapes, optional
arguments, ``isinstance`` and loops mean what they mean in Python. Below it a dispatch mode sees every
operation and writes it to a tape. It is an obstacle if the network takes numbers out of a tensor: it might
run other operations for other images.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

from .canvas import contiguous
from .chance import draws_random_numbers, without_chance
from .geometry import NotShared
from .graph import Graph, kind_of
from .joining import Recording, joined
from .naming import Namer, described
from .outputs import logits_of
from .private import private_copy
from .rounding import agree
from .tape import Tape, oddity, tensors

_READING = """
    numpy tolist __array__ __dlpack__ data_ptr untyped_storage storage _typed_storage __deepcopy__
    __reduce_ex__ __repr__ __format__ share_memory_ set_ resize_ apply_ map_ map2_
"""
READS_NUMBERS = {getattr(Tensor, name) for name in _READING.split() if hasattr(Tensor, name)}
"""Methods that reach a tensor's numbers without an operation."""

FROM_NUMBERS = (torch.tensor, torch.as_tensor, torch.asarray, Tensor.new_tensor)
"""They make a tensor of a list of numbers, which may be tensors themselves."""

SPLITS = (torch.tensor_split, Tensor.tensor_split)
"""They read where to split from a tensor, which no mode sees."""


class _FunctionMode(TorchFunctionMode):
    """Refuses what reaches a tensor's numbers without an operation."""

    def __init__(self, tape: Tape, namer: Namer) -> None:
        super().__init__()
        self.tape, self.namer = tape, namer

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func == Tensor.data.__get__:  # type: ignore[attr-defined]
            return args[0].detach()
        if func == Tensor.data.__set__:  # type: ignore[attr-defined]
            raise self.tape.refuse("it replaces a tensor's values")
        kwargs = kwargs or {}
        read: Any = ()
        if func in READS_NUMBERS:
            read = args[:1]
        elif func in FROM_NUMBERS:
            read = [a for a in (*args, kwargs.get("data")) if not isinstance(a, Tensor)]
        elif func in SPLITS:
            read = (*args[1:], *kwargs.values())
        if any(map(self.tape.varies, tensors(read))):
            name = func.__name__.strip("_") + self.namer.line()
            raise self.tape.refuse(f"{name} takes numbers out of a tensor")
        return func(*args, **kwargs)


class _DispatchMode(TorchDispatchMode):
    """Runs operations and writes them to the tape."""

    def __init__(self, tape: Tape) -> None:
        super().__init__()
        self.tape = tape

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        """No: to mark the mode for the compiler imports that, which takes a second."""
        return False

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        tape = self.tape
        if tape.obstacle:
            return func(*args, **kwargs)
        with torch._C.DisableTorchFunction():
            self._check(func, types, args, kwargs)
            if func._schema.is_mutable and kind_of(func) != "rrelu_with_noise":
                return tape.write(func, args, kwargs)
            versions = [t._version for t in tensors((args, kwargs))]
            result = func(*args, **kwargs)
            if versions != [t._version for t in tensors((args, kwargs))]:
                raise tape.refuse(f"{tape.name(func)} writes to a tensor without declaring it")
            tape.add(*without_chance(func, args, kwargs, result))
        return result

    def _check(self, func: Any, types: Any, args: Any, kwargs: Any) -> None:
        tape = self.tape
        if any(kind not in (Tensor, nn.Parameter) for kind in types):
            raise tape.refuse("it computes with a subclass of Tensor")
        given = tensors((args, kwargs))
        for tensor in given:
            if oddity(tensor):
                raise tape.refuse(f"{tape.name(func)} takes a tensor that is {oddity(tensor)}")
        if draws_random_numbers(func, args, kwargs):
            raise tape.refuse(f"{tape.name(func)} draws random numbers")
        if _has_dynamic_shape(func, args) and any(map(tape.varies, given)):
            raise tape.refuse(f"{tape.name(func)} returns a shape that depends on the pixels")


def record(network: nn.Module, images: Tensor, prefix: str = "") -> Graph:
    """The graph of a network.

    Args:
        network: in eval mode; takes ``[B, C, h, w]``. Copies of it are run.
        images: ``[3, C, h, w]``, different ones.
        prefix: of names of its modules that reasons leave out.

    Raises:
        NotShared: it cannot be recorded, or it looks at its batch as a whole; the message says why.
    """
    pair, other = contiguous(images[:2]).clone(), contiguous(2 - 5 * images[[1, 2]])
    two, answers = _recorded(network, pair, prefix)
    other_pixels, _ = _recorded(network, other, prefix)
    three, among_three = _recorded(network, contiguous(images[[2, 0, 1]]), prefix)
    graph = joined(two, other_pixels, three)
    if not agree(answers, among_three[1:], graph.rounding(answers.dtype)).all():
        raise NotShared("its answer to an image depends on the other images of the batch")
    return graph


def _recorded(network: nn.Module, images: Tensor, prefix: str) -> tuple[Recording, Tensor]:
    """One recording, and what the network returned."""
    copied = private_copy(network)  # a new one each time: some networks count their calls
    namer = Namer(copied, prefix, _recorded.__code__)
    tape = Tape(images, namer.operation)
    before = _simple_attributes(copied)
    try:
        with (
            torch.jit.optimized_execution(False),  # type: ignore[attr-defined]
            _FunctionMode(tape, namer),
            _DispatchMode(tape),
        ):
            output = logits_of(copied(images))
    except Exception as error:
        if tape.obstacle is None:
            raise NotShared(f"it cannot be recorded: {described(error)}") from error
    if tape.obstacle is not None:
        raise tape.obstacle
    changed = {key for key, value in _simple_attributes(copied).items() if before.get(key) != value}
    if changed:
        raise NotShared(f"it changes its attribute {min(changed)} when it is called")
    return Recording(tape.nodes, tape.output(output)), output


def _simple_attributes(network: nn.Module) -> dict[str, Any]:
    """The numbers and flags that a network's modules hold, by name."""
    return {
        f"{prefix}.{name}".lstrip("."): value
        for prefix, module in network.named_modules()
        for name, value in vars(module).items()
        if isinstance(value, (bool, int, float, str))
    }


def _has_dynamic_shape(func: Any, args: Any) -> bool:
    if func._schema.name == "aten::index":  # by numbers it has the shape of these
        return any(isinstance(i, Tensor) and i.dtype in (torch.bool, torch.uint8) for i in args[1])
    return torch.Tag.dynamic_output_shape in func.tags
