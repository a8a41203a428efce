"""The ingress gateway: configures a real Envoy from the cluster's ingress objects, and holds requests without a pod.

It may import the shared modules of `clusters.embedded` (objects, kinds) and `values`, but neither the API server nor
the reconcilers nor the node.
"""
