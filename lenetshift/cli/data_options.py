"""The options of a command that say which images it reads, and what is done to them."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..checks.choices import NORMALIZATIONS
from ..checks.errors import UsageError
from ..checks.text import one_line
from .options import FILE, a_path, add_path, finite_number, naming, naming_options
from .own_dataset import DatasetName, dataset_name, make_dataset

if TYPE_CHECKING:
    import torch
    from torch import Tensor

    from ..api import Normalize, ShiftGrid
    from ..data.sources.labelled_images import LabelledImages

CODE = (
    "What --data names as package:NAME or FILE.py:NAME is code too, and is executed; nothing in files and "
    "folders of data is."
)


def add_images(parser: argparse._ActionsContainer) -> None:
    """Add the options for the images themselves."""
    add_path(
        parser, "--data", FILE, type=_where, metavar="WHERE",
        help="the test images: a folder of IDX files, raw or .gz, or one of its files of images; a folder of "
        "PNG, JPEG or other images in a subfolder for each class, or one with train/ and test/ or val/; a "
        "folder of CIFAR-10 or CIFAR-100, python or binary version; a .npz file; a folder that the package "
        "datasets saved; package:NAME?KEY=VALUE&... or FILE.py:NAME, a PyTorch data set, whose code is run, "
        "such as 'package:flowers.Flowers?root=data&split=test' (default: the packaged MNIST)",
    )  # fmt: skip
    add_path(
        parser, "--classes", FILE, metavar="FILE",
        help="names of the classes in the order of the network's outputs, one per line (default: the order "
        "of the data; of a folder, its sorted names)",
    )  # fmt: skip
    parser.add_argument(
        "--images", type=int, metavar="N",
        help="use only N test images, drawn evenly over the set (default: all)",
    )  # fmt: skip
    parser.add_argument(
        "--resize", type=int, nargs="+", metavar="N",
        help="first resize each image to height and width, or its shorter side to one number, bilinear and "
        "antialiased as torchvision's Resize; shifts are pixels of the resized image",
    )  # fmt: skip
    channels = parser.add_mutually_exclusive_group()
    for name in ("grey", "rgb"):
        channels.add_argument(
            f"--{name}", dest="channels", action="store_const", const=name,
            help=f"give the network {'one channel' if name == 'grey' else 'three channels'} (default: "
            "one if all images are grey, else three)",
        )  # fmt: skip


def add_normalization(parser: argparse._ActionsContainer) -> None:
    """Add the options for what is done to moved images before the network."""
    parser.add_argument(
        "--normalize", choices=tuple(NORMALIZATIONS),
        help="--mean and --std of these data: "
        + "; ".join(
            f"{name} {' '.join(map(str, mean))}, {' '.join(map(str, std))}"
            for name, (mean, std) in NORMALIZATIONS.items()
        ),
    )  # fmt: skip
    parser.add_argument(
        "--mean", type=finite_number, nargs="+", metavar="X",
        help="with --std: pixels in 0..1 become (pixel - mean) / std before the network",
    )  # fmt: skip
    parser.add_argument("--std", type=finite_number, nargs="+", metavar="X", help="see --mean")


def _where(text: str) -> Path | DatasetName:
    return dataset_name(text) or a_path(text)


def images_of(args: argparse.Namespace, grid: ShiftGrid) -> LabelledImages:
    """The test images that the options name."""
    from ..api import load_mnist, open_data
    from .networks.own_code import of_a_person

    how = {
        "resize": args.resize and (args.resize[0] if len(args.resize) == 1 else tuple(args.resize)),
        "crop": args.crop and tuple(args.crop),
        "grid": grid,
        "channels": args.channels,
        "classes": None if args.classes is None else _lines_of(args.classes),
        "n_images": args.images,
    }
    with naming_options(), naming(giving_images(args)):
        if args.data is None:
            return open_data(load_mnist()[1], **how)
        if not isinstance(args.data, DatasetName):
            return open_data(args.data, **how)
        data = make_dataset(args.data)
        with of_a_person(f"argument --data: {args.data}"), naming("--data"):
            return open_data(data, **how)


def giving_images(args: argparse.Namespace) -> str | None:
    """The option that an error in the images is about, if any: MNIST is right, unless its labels do not fit
    the names of --classes."""
    if args.data is not None:
        return "--data"
    return None if args.classes is None else "--classes"


class Batches:
    """The batches of some images on a device. An error in the data is a UsageError that names the option
    that gave them, so that it is not taken for one of the network's."""

    def __init__(self, data: LabelledImages, device: torch.device, option: str | None) -> None:
        self._data, self._device, self._option = data, device, option

    def __len__(self) -> int:
        """The number of batches."""
        return len(self._data)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Each batch, read when it is asked for."""
        from ..api import DataError

        try:
            with naming(self._option):
                for images, labels in self._data:
                    yield images.to(self._device), labels
        except DataError as error:
            raise UsageError(str(error)) from error


def normalization_of(args: argparse.Namespace) -> Normalize | None:
    """The transform that the options ask for."""
    from ..api import Normalize

    mean, std = args.mean, args.std
    if args.normalize is not None:
        if mean is not None or std is not None:
            raise UsageError("argument --normalize: not with --mean and --std")
        return Normalize(*NORMALIZATIONS[args.normalize])
    if mean is None and std is None:
        return None
    if mean is None or std is None:
        given, missing = ("std", "mean") if mean is None else ("mean", "std")
        raise UsageError(f"argument --{given}: got no --{missing}, expected both or neither")
    if max(mean) > 1:
        raise UsageError(
            f"argument --mean: got {max(mean):g}, expected numbers in the units of pixels in 0..1, such as "
            f"{max(mean) / 255:.3g} for {max(mean):g} of 255"
        )
    if len(mean) != len(std):
        raise UsageError(
            f"argument --std: got {len(std)}, expected {len(mean)}, one for each --mean"
        )
    return Normalize(mean, std)


def input_lines(
    args: argparse.Namespace, data: LabelledImages, transform: Normalize | None
) -> list[str]:
    """What the network was given, as the printout says it."""
    channels, height, width = data.shape
    where = "MNIST" if args.data is None else f"{args.data} ({data.what})"
    classes = "" if data.classes is None else f", {len(data.classes)} classes"
    resized = "" if args.resize is None else ", resized"
    colour = "grey" if channels == 1 else "RGB"
    given = "none, pixels in 0..1"
    if transform is not None:
        mean, std = (
            " ".join(f"{x:g}" for x in values) for values in (transform.mean, transform.std)
        )
        given = f"mean {mean}, std {std}" + (f" ({args.normalize})" if args.normalize else "")
    return [
        one_line(f"data: {where}{classes}, {colour} {height} x {width}{resized}"),
        f"normalization: {given}",
    ]


def input_values(
    args: argparse.Namespace, data: LabelledImages, transform: Normalize | None
) -> dict[str, Any]:
    """The same for JSON."""
    return {
        "data": None if args.data is None else str(args.data),
        "format": "MNIST" if args.data is None else data.what,
        "image_shape": list(data.shape),
        "resize": args.resize,
        "mean": None if transform is None else list(transform.mean),
        "std": None if transform is None else list(transform.std),
    }


def _lines_of(file: Path) -> tuple[str, ...]:
    """The names in a file, one per line; empty lines at the end do not count."""
    from ..storage.files import read_bytes, reason

    option = f"argument --classes: {file}"
    try:
        lines = read_bytes(file).decode("utf-8-sig").rstrip().splitlines()
    except OSError as error:
        raise UsageError(f"{option}: cannot be read: {reason(error)}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{option}: got bytes that are not UTF-8, expected text") from error
    return tuple(line.strip() for line in lines)
