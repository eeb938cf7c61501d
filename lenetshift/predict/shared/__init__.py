"""The answers of any network under every shift, computed from features that the shifts share.

The algorithm: lay the image on a canvas so large that every moved image is a window of it. A feature that
several windows have in common is computed once (a trick of dense prediction: Giusti et al. 2013, arXiv
1302.1700; Li et al. 2014, arXiv 1412.4526). Tables name the lines of a map that make up each window. What a
layer computes from the same lines is one line of its result; what padding has reached, or a stride keeps
apart, is a line for each window that has it. Layers find their windows in such tables (the indirect
convolution algorithm: Dukhan 2019, arXiv 1907.02129).

The modules in the order in which to read them:

- ``canvas``: images on canvases, their windows, fills and crops;
- ``geometry``, ``maps``, ``weights``: tables of lines, and how layers change a map;
- ``private``, ``recorder``, ``chance``, ``tape``, ``naming``, ``outputs``: a copy of the network is run and
  its operations are recorded;
- ``graph``, ``joining``, ``by_image``, ``image_dims``: what several recordings have in common, image by
  image;
- ``call``, ``places``, ``kernels``, ``whole``, ``rules``: how each operation changes a map;
- ``passes``: one pass of the network over canvases;
- ``ordinary``: convolutions of whole windows, by the faster of two functions;
- ``rewriting``: convolutions take in the batch normalizations and clamps after them;
- ``network``, ``runtimes``, ``cuda_graph``: the rewritten network, for patterns one by one;
- ``workers``, ``model``: chunks of images, memory;
- ``rounding``, ``comparison``, ``attempt``: the comparison with the plain method, and whether to share at
  all.
"""

from .attempt import SharesByItself, recorded, try_rewriting, try_sharing
from .comparison import LogitsDiffer
from .geometry import NotShared
from .graph import Graph
from .model import SharedModel
from .network import LAYOUTS
from .ordinary import batch_size_for
from .rewriting import folded
from .runtimes import RUNTIMES

__all__ = [
    "LAYOUTS",
    "RUNTIMES",
    "Graph",
    "LogitsDiffer",
    "NotShared",
    "SharedModel",
    "SharesByItself",
    "batch_size_for",
    "folded",
    "recorded",
    "try_rewriting",
    "try_sharing",
]
