"""The command ``lenetshift``."""

from .. import IS_COMMAND
from . import interrupts

if IS_COMMAND:
    interrupts.leave_at_once()
