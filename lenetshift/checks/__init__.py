"""Checks of arguments, the package's exceptions, text made safe to show, and the search for the core."""
