"""The API server: HTTP requests in, stored objects and watch events out.

It may import the modules beside it in `embedded`, such as `kinds` and `objects`, but no other part of the cluster.
"""
