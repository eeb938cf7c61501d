"""Constants of a reproduction that options show. Nothing here imports torch."""

QUICK_TRAIN, QUICK_TEST = 6_000, 1_000
"""The images of a reproduction that only shows that everything works."""
