"""The answers of any network under every shift, from features that the shifts share.

The algorithm: lay the image on a canvas so large that every moved image is a window of it. The
features of a window, where nothing is padded, are a window of the canvas's features: they are
computed once (dense prediction's trick: Giusti et al. 2013, arXiv 1302.1700; Li et al. 2014, arXiv
1412.4526). Padding in the first convolution sees what lies around the window instead of the
frame's zeros: windows where the two differ are computed on canvases that are cut at the frame.

Read on in this order:

- ``canvas``: images to canvases, windows of them, fills, crops;
- ``geometry``, ``maps``: where the windows of a map lie, and what layers make of it;
- ``private``, ``recorder``: a copy of the network is run, and its operations are recorded;
- ``graph``, ``joining``, ``by_image``: what several recordings have in common, image by image;
- ``call``, ``places``, ``kernels``, ``whole``, ``rules``: what each operation does to a map;
- ``executor``: one pass of the network over canvases;
- ``way``: chunks of images, cut canvases, memory;
- ``check``, ``choice``: the comparison with the plain way, and whether to share at all.
"""

from .check import Differs
from .choice import shared_way
from .geometry import NotShared
from .way import SharedWay

__all__ = ["Differs", "NotShared", "SharedWay", "shared_way"]
