"""The Kubernetes API server of the embedded cluster: serves, validates and stores objects, and streams their changes.

It may import `apimachinery` and modules of `clusters.embedded`, but neither controllers, node nor gateway.
"""
