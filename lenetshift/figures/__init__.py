"""Figures, drawn from predictions that exist already."""
