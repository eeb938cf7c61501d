"""Checks of arguments, the package's exceptions, and text made fit to be shown."""
