"""One module per kind of cluster, each with an object BACKEND that implements `clusters.backend.Backend`.

A new file `NAME_backend.py` in this folder is all that a new kind of cluster needs.
"""
