"""The columns of `kubectl get`. Imports `wire` and below."""
