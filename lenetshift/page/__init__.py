"""``report.html``: all that a run found in one file, with an explorer that runs the networks.

The page needs no network and no other file. Python writes everything that can be read: sentences,
tables, grids of answers. The modules ``*.js`` beside this file add what moves: they unpack images,
answers and weights, and run the same forward passes as the package.

``page.py`` puts the page together, ``texts.py`` says what is read, ``blocks.py`` packs data,
``bundle.py`` joins the modules and forbids all else.
"""

from __future__ import annotations

from .page import render_page

__all__ = ["render_page"]
