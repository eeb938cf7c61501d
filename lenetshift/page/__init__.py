"""``report.html``: the results of a run in one file, with an explorer that runs the networks.

The page needs no internet and no other file. Python writes everything that can be read: sentences,
tables, grids of answers. The modules ``*.js`` next to this file add what moves: they unpack images,
answers and weights, and run the same forward passes as the package.

``page.py`` fills the template, ``texts.py`` writes sentences and tables, ``blocks.py`` packs data, and
``bundle.py`` joins the modules and forbids every other script.
"""

from __future__ import annotations

from .page import render_page

__all__ = ["render_page"]
