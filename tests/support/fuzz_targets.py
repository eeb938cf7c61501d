"""What reads files that anybody may have made, each as a function of bytes that returns for whatever
bytes: it accepts them, or refuses them in the one line that it should. Anything else it raises is a
fault. ``tools/stress/fuzz.py`` looks for such bytes; ``test_fuzz_corpus.py`` tries those that are kept.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Callable
from pathlib import Path

from torch import nn

from lenetshift import Evaluation
from lenetshift.checks.errors import DataError, Differs, StorageError, UsageError
from lenetshift.cli.networks.fitting import load_weights
from lenetshift.cli.networks.python_code import load_model
from lenetshift.data.idx import read_idx
from lenetshift.data.sources.cifar import find_cifar_pickles
from lenetshift.data.sources.image_folder import look_at, read_picture
from lenetshift.data.sources.npz import find_npz
from lenetshift.reproduce.checkpoints import read_checkpoint
from lenetshift.reproduce.results import read_results
from lenetshift.storage.sealed import seal
from lenetshift.study.experiments.runs import Run
from lenetshift.study.run_files import answers_path, read_run
from lenetshift.study.summary import read_summary
from lenetshift.study.verification import read_dossier

RUN = Run("table", "a", 0, "mlp", (1,))

_kept = tempfile.TemporaryDirectory(prefix="lenetshift_fuzz_")
FOLDER = Path(_kept.name)


@contextlib.contextmanager
def refused_by(*errors: type[Exception]):  # type: ignore[no-untyped-def]
    """These may be raised, in one line each."""
    try:
        yield
    except errors as error:
        text = str(error)
        if len(text.splitlines()) != 1:
            raise AssertionError(f"got {text!r}, expected one line") from error


def idx(data: bytes) -> None:
    """An IDX file; its first byte says whether it is packed, and how many dimensions are expected."""
    if not data:
        return
    path = FOLDER / ("idx.gz" if data[0] & 1 else "idx")
    path.write_bytes(data[1:])
    with refused_by(DataError):
        read_idx(path, 1 + data[0] // 2 % 3, lambda shape: "" if shape[0] < 1000 else "too many")


def cifar_batch(data: bytes) -> None:
    """CIFAR's test batch, a pickle."""
    (FOLDER / "test_batch").write_bytes(data)
    with refused_by(DataError):
        find_cifar_pickles(FOLDER)


def npz(data: bytes) -> None:
    """An archive of images and labels."""
    path = FOLDER / "images.npz"
    path.write_bytes(data)
    with refused_by(DataError):
        find_npz(path)


def image(data: bytes) -> None:
    """An image of a folder."""
    path = FOLDER / "image.png"
    path.write_bytes(data)
    with refused_by(DataError):
        read_picture(path)
    with refused_by(DataError):
        look_at(path)


def checkpoint(data: bytes) -> None:
    """A checkpoint, sealed."""
    path = FOLDER / "checkpoint.pt"
    path.write_bytes(seal(data))
    with refused_by(StorageError):
        read_checkpoint(path).divergence()


def run(data: bytes) -> None:
    """The answers of a study's run, sealed."""
    path = answers_path(FOLDER, RUN)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(seal(data))
    with refused_by(StorageError):
        read_run(FOLDER, RUN, {"lenetshift": "0"})


def dossier(data: bytes) -> None:
    """A dossier, and its summary."""
    (FOLDER / "dossier.json").write_bytes(data)
    with refused_by(Differs, StorageError):
        read_dossier(FOLDER)
    with refused_by(StorageError):
        read_summary(FOLDER / "dossier.json")


def results(data: bytes) -> None:
    """What a run found."""
    (FOLDER / "results.json").write_bytes(data)
    with refused_by(StorageError):
        read_results(FOLDER)


def evaluation(data: bytes) -> None:
    """A saved evaluation: an archive, sealed, or the JSON of ``evaluate``."""
    path = FOLDER / "evaluation.npz"
    path.write_bytes(seal(data) if data.startswith(b"PK") else data)
    with refused_by(DataError):
        Evaluation.load(path).to_dict()


def weights(data: bytes) -> None:
    """Weights of a person's own network; the first byte says in which format."""
    if not data:
        return
    path = FOLDER / ("weights.safetensors" if data[0] & 1 else "weights.pt")
    path.write_bytes(data[1:])
    with refused_by(UsageError):
        load_weights(nn.Linear(2, 2), path)


def model_file(data: bytes) -> None:
    """A model file that is no Python; one that is would be executed, as it is meant to be."""
    path = FOLDER / "model.py"
    path.write_bytes(data)
    try:
        compile(data, "model.py", "exec")
    except Exception:
        with refused_by(UsageError):
            load_model(str(path), "Net")


TARGETS: dict[str, Callable[[bytes], None]] = {
    function.__name__: function
    for function in (
        idx,
        cifar_batch,
        npz,
        image,
        checkpoint,
        run,
        dossier,
        results,
        evaluation,
        weights,
        model_file,
    )
}
