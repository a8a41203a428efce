"""The exercises of the course: tasks that the cluster's state completes, predictions, drills, and progress.

May import `doctor`, `observe`, `rollout`, `access` and `values`.
"""
