"""The API server: HTTP requests in, stored objects and watch events out.

It may import `apimachinery` and the modules of `clusters.embedded`, but no other part of the cluster.
"""
