"""The answers of any network under every shift, computed from features that the shifts share.

The algorithm: lay the image on a canvas so large that every moved image is a window of it. Without
padding, the features of a window are a window of the canvas's features, which are computed once (a trick
of dense prediction: Giusti et al. 2013, arXiv 1302.1700; Li et al. 2014, arXiv 1412.4526). With padding, the
first convolution sees what lies around the window instead of the frame's zeros: windows in which the two
differ are computed on canvases that are cut at the frame.

The modules in the order in which to read them:

- ``canvas``: images on canvases, their windows, fills and crops;
- ``geometry``, ``maps``: where the windows of a map lie, and how layers change it;
- ``private``, ``recorder``, ``tape``, ``naming``: a copy of the network is run and its operations are
  recorded;
- ``graph``, ``joining``, ``by_image``: what several recordings have in common, image by image;
- ``call``, ``places``, ``kernels``, ``whole``, ``rules``: how each operation changes a map;
- ``executor``: one pass of the network over canvases;
- ``model``: chunks of images, cut canvases, memory;
- ``rounding``, ``comparison``, ``attempt``: the comparison with the plain method, and whether to share at
  all.
"""

from .attempt import try_sharing
from .comparison import LogitsDiffer
from .geometry import NotShared
from .model import SharedModel

__all__ = ["LogitsDiffer", "NotShared", "SharedModel", "try_sharing"]
