"""How to reach a cluster: its API server, its ingress gateway, and a port-forward to it. Imports `values`."""
