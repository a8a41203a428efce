"""A real KServe in Knative mode, in a cluster that kind creates in Docker. Used by `backends.kind_backend` alone."""
