"""The state of a rollout at one moment (snapshot) and over time (history), and the feed that records both.

Pure except for `feed`. Imports `rollout`, `access` and `values`.
"""
