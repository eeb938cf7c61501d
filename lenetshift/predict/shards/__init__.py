"""Long evaluations: images are answered shard by shard, here or on a cluster, and the answers kept in files.

The modules in the order in which to read them:

- ``cutting``: the images in shards;
- ``answered``: the answers to one of them;
- ``own_code``, ``fingerprint``, ``settings``: what settles the answers, as digests;
- ``files``: a folder with a file for each shard;
- ``sending``, ``on_cluster``: a model goes to the workers, and they answer;
- ``by_shard``: all of it together.
"""
