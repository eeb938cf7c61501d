"""The network of a command: a person's own, or that of a checkpoint in a result folder."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from torch import Tensor, nn

from ..checks.describe import describe
from ..checks.errors import UsageError
from ..checks.text import in_a_line
from ..models.build import build_model
from ..models.table import ARCHITECTURES
from ..reproduce.checkpoints import Checkpoint, read_checkpoint
from ..storage.files import read_bytes, reason
from ..storage.untrusted import load_tensors
from .streams import printing_aside


@contextlib.contextmanager
def of_a_person(what: str) -> Iterator[None]:
    """Run a person's own code: what it prints goes to standard error, and anything it raises, even
    SystemExit, becomes a UsageError that begins with ``what``, unless it is one already."""
    try:
        with printing_aside():
            yield
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        raise UsageError(f"{what}: {in_a_line(error)}") from error


def load_model(file: str, name: str) -> nn.Module:
    """The module that a Python file holds under a name, made without arguments. The file is executed, with
    its folder first on ``sys.path``.

    Raises:
        UsageError: something is wrong with the file, the name or what it makes, in one line.
    """
    path, option = Path(file), f"argument --model: {file}"
    source = _contents(option, path)
    try:
        code = compile(source, file, "exec")
    except SyntaxError as error:
        line = f"line {error.lineno}: " if error.lineno else ""
        raise UsageError(f"{option}: {line}{error.msg}") from error
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte, nested too deep
        raise UsageError(f"{option}: {in_a_line(error)}") from error
    # A module like any other: pickle, dataclasses and inspect look up classes by its name.
    spec = importlib.util.spec_from_loader(f"model_of_{path.stem}", loader=None, origin=file)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    module.__file__ = file
    sys.modules[spec.name] = module
    sys.path.insert(0, str(path.resolve().parent))
    with of_a_person(f"{option}: raises on import"):
        exec(code, module.__dict__)
        is_there = hasattr(module, name)
    if not is_there:
        others = ", ".join(
            key for key, value in vars(module).items()
            if isinstance(value, type) and issubclass(value, nn.Module) and value.__module__ == spec.name
        )  # fmt: skip
        raise UsageError(f"{option}: has no {name}" + (f", only {others}" if others else ""))
    found = getattr(module, name)
    if isinstance(found, nn.Module):
        return found
    option += f":{name}"
    if not callable(found):
        raise UsageError(f"{option}: got {describe(found)}, expected a class or a function")
    with of_a_person(f"{option}: cannot be made without arguments"):
        made = found()
    if not isinstance(made, nn.Module):
        raise UsageError(f"{option}: made {describe(made)}, expected a torch.nn.Module")
    return made


def load_weights(model: nn.Module, path: Path) -> None:
    """Load the weights of a file into a model. Nothing in the file is executed.

    Raises:
        UsageError: the file does not hold weights, or they do not fit.
    """
    option = f"argument --weights: {path}"
    weights = _weights(_contents(option, path), path.suffix.lower() == ".safetensors", option)
    with of_a_person(f"{option}: does not fit the model"):
        model.load_state_dict(weights)


def _contents(option: str, path: Path) -> bytes:
    """A file's bytes; UsageError if it cannot be read."""
    try:
        return read_bytes(path)
    except OSError as error:
        raise UsageError(f"{option}: cannot be read: {reason(error)}") from error


def _weights(contents: bytes, is_safetensors: bool, option: str) -> Mapping[str, Tensor]:
    if is_safetensors:
        from safetensors.torch import load

        try:
            return load(contents)
        except Exception as error:  # damaged contents may raise anything
            raise UsageError(f"{option}: not a safetensors file: {in_a_line(error)}") from error
    try:
        value = load_tensors(contents)
    except ValueError as error:
        raise UsageError(
            f"{option}: {error}, expected a state dict as torch.save(model.state_dict(), FILE) writes it"
        ) from error
    if isinstance(value, Mapping) and isinstance(value.get("state_dict"), Mapping):
        value = value["state_dict"]
    if not isinstance(value, Mapping) or not all(
        isinstance(key, str) and isinstance(item, Tensor) for key, item in value.items()
    ):
        raise UsageError(f"{option}: got {describe(value)}, expected a state dict: name -> tensor")
    return value


def load_checkpoint_model(path: Path) -> tuple[nn.Module, Checkpoint]:
    """The model of a checkpoint, and the checkpoint.

    Raises:
        StorageError: the file is not a checkpoint of this version, or damaged.
    """
    checkpoint = read_checkpoint(path)
    model = build_model(ARCHITECTURES[checkpoint.model], checkpoint.settings["activation"])
    model.load_state_dict(checkpoint.state_dict)
    return model, checkpoint
