"""Live data: one feed per rollout, shared by all its widgets and by the story that `rollout.wait()` shows.

May import `observe`, `rollout`, `access` and `values`.
"""
