"""The embedded cluster: a Kubernetes API server, KServe's and Knative's controllers, a node and a gateway.

`server` runs them in one process, which `supervision` starts. `api`, `control`, `node` and `gateway` import no code of
each other: they meet in the objects of the store, whose kinds are in `apimachinery`.
"""
