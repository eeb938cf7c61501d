"""The connection to a Dask scheduler."""

from __future__ import annotations

import contextlib
import importlib.util
import logging
import socket
import time
from collections.abc import Iterator
from typing import Any

from ...checks.errors import ArgumentError, ClusterError

PATIENCE = 30
"""Seconds to wait for the scheduler, and for a worker if none is left."""


def check_scheduler(address: str, patience: float = PATIENCE) -> None:
    """Wait until something listens at the address of a scheduler.

    Args:
        address: such as ``tcp://10.0.0.1:8786``.
        patience: see :data:`PATIENCE`.

    Raises:
        ArgumentError: ``distributed`` is not installed, or this is not an address.
        ClusterError: nothing listens there.
    """
    if importlib.util.find_spec("distributed") is None:
        raise ArgumentError(
            "scheduler",
            f"{address!r} without the package distributed",
            "it to be installed: pip install 'lenetshift[dask]'",
        )
    try:
        _wait_for(address, patience)
    except ValueError as error:
        raise ArgumentError(
            "scheduler", repr(address), "an address such as tcp://10.0.0.1:8786"
        ) from error
    except OSError as error:
        raise ClusterError(
            f"{_unanswered(address, patience)}: {error.strerror or error}"
        ) from error


def _wait_for(address: str, patience: float) -> None:
    """Wait until something listens at an address. A client of Distributed would also wait, but longer
    than this, and would print more than a line when it is closed.

    Raises:
        OSError: nothing does so within ``patience`` seconds, or there is no such host.
        ValueError: it is not an address.
    """
    from distributed.comm.addressing import get_address_host_port

    host, port = get_address_host_port(address, strict=True)
    deadline = time.monotonic() + patience
    while True:
        try:
            socket.create_connection((host, port), timeout=max(0.1, patience)).close()
            return
        except socket.gaierror:  # no such host
            raise
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(min(0.2, patience / 10))


@contextlib.contextmanager
def connected(address: str, patience: float, advice: str) -> Iterator[Any]:
    """A client of the scheduler.

    Args:
        address, patience: as for :func:`check_scheduler`.
        advice: what to do if the cluster is lost, the end of a sentence; may be empty.

    Raises:
        ClusterError: what answers is not a scheduler; or, within the context, the cluster is lost.
    """
    import distributed

    try:
        client = distributed.Client(address, timeout=patience, set_as_default=False)
    except (OSError, ValueError, distributed.TimeoutError, AssertionError) as error:
        # Distributed asserts that its own thread starts within 10 s, which a busy machine may not grant.
        raise ClusterError(_unanswered(address, patience)) from error
    with _without_logs_of_losses(), client, client.as_current():
        try:
            yield client
        except (OSError, distributed.TimeoutError, distributed.CancelledError) as error:
            raise ClusterError(f"the cluster at {address} is lost{advice}") from error


@contextlib.contextmanager
def _without_logs_of_losses() -> Iterator[None]:
    """Without the traceback that a client logs if its scheduler goes: the error says so in a line."""
    logger = logging.getLogger("distributed.client")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield
    finally:
        logger.setLevel(level)


def _unanswered(address: str, patience: float) -> str:
    return f"no Dask scheduler answers at {address} in {patience:g} s"
