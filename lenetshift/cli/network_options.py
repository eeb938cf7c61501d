"""The options of a command that say which network it evaluates."""

from __future__ import annotations

import argparse
import dataclasses
import json
from typing import TYPE_CHECKING, Any

from ..checks.errors import UsageError
from .networks.names import LIBRARIES, ModelName, model_name
from .options import FILE, a_path, add_path, naming
from .streams import say

if TYPE_CHECKING:
    from .networks.load import Network


def add_network(parser: argparse.ArgumentParser) -> None:
    """Add the options."""
    network = parser.add_argument_group("network (one of --model and --checkpoint)")
    which = network.add_mutually_exclusive_group(required=True)
    add_path(
        which, "--model", FILE, type=_model, metavar="MODEL",
        help="FILE.py:NAME or PACKAGE.MODULE:NAME, a class of torch.nn.Module, a function that returns a "
        "module, or a module itself; timm:NAME or torchvision:NAME, a model of these packages; onnx:FILE; "
        "FILE.pt, TorchScript; FILE.pt2, of torch.export. The network takes images [B, C, H, W], such as "
        "[B, 1, 28, 28], and gives logits [B, K]",
    )  # fmt: skip
    network.add_argument(
        "--model-args", type=_arguments, metavar="JSON",
        help="keyword arguments for the class, the function or the model of a package, such as "
        "'{\"depth\": 20}' (default: none)",
    )  # fmt: skip
    add_path(
        which, "--checkpoint", FILE, metavar="FILE",
        help="checkpoint in a result folder, such as results/checkpoints/lenet5.pt",
    )  # fmt: skip
    add_path(
        network, "--weights", FILE, metavar="FILE",
        help="file with the state dict of --model, alone or under the key state_dict, model_state_dict, "
        "model, net or weights (default: the weights that the module is made with)",
    )  # fmt: skip
    network.add_argument(
        "--weights-key", metavar="KEY",
        help="another key under which the state dict is in the file of --weights, such as model_ema",
    )  # fmt: skip


def network_of(args: argparse.Namespace) -> Network:
    """The network that the options name, with its weights."""
    from .networks.fitting import load_weights
    from .networks.load import Network, load_network

    if args.weights_key is not None and args.weights is None:
        raise UsageError("argument --weights-key: got no --weights, whose file it is about")
    if args.checkpoint is not None:
        return Network(*_of_a_checkpoint(args))
    if args.model.kind == "onnx" and args.device == "cuda":
        raise UsageError("argument --device: got cuda, but an ONNX file is run on the CPU")
    network = load_network(args.model, args.model_args)
    if args.weights is not None:
        if args.model.kind == "onnx":
            raise UsageError("argument --weights: not with an ONNX file, which has its own")
        prefix = load_weights(network.module, args.weights, args.weights_key)
        if prefix:
            say(f"note: {args.weights}: the names are taken without their prefix {prefix!r}")
    elif args.model.kind in LIBRARIES:
        say(f"note: {args.model} has random weights: --weights gives others")
    if network.batch_size is not None and args.batch_size not in (None, network.batch_size):
        raise UsageError(
            f"argument --batch-size: got {args.batch_size}, expected {network.batch_size}, the only one "
            f"that {args.model} takes"
        )
    return network


def _of_a_checkpoint(args: argparse.Namespace) -> tuple[Any, str]:
    from .networks.checkpoints import load_checkpoint_model

    for name in ("weights", "model_args"):
        if getattr(args, name) is not None:
            option = f"--{name.replace('_', '-')}"
            own = "its own" if name == "weights" else "no arguments"
            raise UsageError(f"argument {option}: not with --checkpoint, which has {own}")
    with naming("--checkpoint"):
        model, checkpoint = load_checkpoint_model(args.checkpoint)
    return model, checkpoint.model


def _model(text: str) -> ModelName:
    found = model_name(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a file and a name in it, such as net.py:Net, or another form of "
            "those that --help lists"
        )
    if found.kind in LIBRARIES:
        return found
    return dataclasses.replace(found, place=str(a_path(found.place)))


def _arguments(text: str) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(
            f"got {text!r}, expected a JSON object such as '{{\"depth\": 20}}'"
        )
    return value
