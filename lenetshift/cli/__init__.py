"""The command ``lenetshift``."""

from .. import is_command
from . import interrupts

if is_command():
    interrupts.leave_at_once()
