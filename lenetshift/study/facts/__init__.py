"""Facts: numbers of a study that do not come from predictions, but from images and from a network's layers.

Each is a pure function of its arguments. What it returns is rounded, and :func:`agreement.agree` says
whether two such results, such as those of two machines, are the same.
"""
