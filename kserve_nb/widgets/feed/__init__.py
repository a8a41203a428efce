"""Live data for widgets: one feed per rollout, shared by all its widgets.

May import `observe`, `rollout`, `access` and `values`.
"""
