"""The networks that a command is given, and their weights.

The modules in the order in which to read them:

- ``names``: what ``--model`` accepts, without torch;
- ``load``: the network of such a name;
- ``python_code``, ``libraries``, ``archives``, ``onnx_file``: one module for each kind;
- ``weights``: what ``--weights`` accepts, read without running anything in it;
- ``fitting``: weights put into a network, whatever their names begin with;
- ``checkpoints``: the model of a checkpoint in a result folder;
- ``own_code``, ``files``: how other people's code is run, and files are read.
"""
