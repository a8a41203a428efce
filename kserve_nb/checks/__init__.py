"""Check cells: each check compares the cluster with what a tutorial step expects, and passes or fails with a next step.

May import `rollout`, `access` and `values`.
"""
