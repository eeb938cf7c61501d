"""Labelled images of many formats, read as they are needed. ``opening`` has the table of formats."""
