"""Work on a Dask cluster: any number of machines, each with this package.

- ``connection``: the client of a scheduler;
- ``crew``: the workers that can be used;
- ``work``: tasks, handed out to them.
"""
