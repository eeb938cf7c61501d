"""The page of one network: how robust it is, and where it fails.

``contents.py`` says what the page is told, ``render.py`` fills the template with it, ``texts.py`` writes its
sentences, ``pictures.py`` packs its images.
"""
