"""What a rollout looks like at one moment (snapshot) and over time (history). Pure.

Imports `rollout`, `access` and `values`.
"""
