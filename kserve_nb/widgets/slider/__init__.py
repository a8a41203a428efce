"""The traffic slider: a value with pure transitions, its text and its card, and a writer for the cluster.

May import what `widgets` may, and `widgets.drawing`, `widgets.sheet` and `widgets.yaml_diff`.
"""
