"""What a learner does alone: tasks that the cluster's state completes, predictions, drills, and the learner's progress.

May import `doctor`, `observe`, `rollout`, `access` and `values`.
"""
