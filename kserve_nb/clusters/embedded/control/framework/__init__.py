"""What all controllers use: the reconciler protocol, the control loop, conditions, events, names of children.

It contains no rule of any kind of object, and imports only shared modules of `clusters.embedded`.
"""
