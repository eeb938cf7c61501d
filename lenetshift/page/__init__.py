"""Pages: ``report.html`` of a run, and the page of one network's evaluation in ``network/``.

A page needs no internet and no other file. Python writes everything that can be read: sentences,
tables, grids of answers. The modules ``*.js`` add what moves: in ``report.html`` they unpack images,
answers and weights, and run the same forward passes as the package.

``page.py`` fills the template of ``report.html``, ``texts.py`` writes its sentences and tables. ``parts/`` is
what both pages are made of: it packs data, joins the modules and forbids every other script.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .page import render_page as render_page

__all__ = ["render_page"]


def __getattr__(name: str) -> Any:
    """``render_page``, imported when it is first used: ``network/`` stands above what it needs."""
    if name == "render_page":
        from .page import render_page

        return render_page
    raise AttributeError(name)
