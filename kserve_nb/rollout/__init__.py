"""Change a rollout, wait for it, send it requests, and judge the answers. Imports `access` and `values`."""
