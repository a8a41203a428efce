"""The types that all parts of the embedded cluster share: kinds, objects, names, quantities, merging.

Named after k8s.io/apimachinery, whose rules for names, quantities, durations and patches most modules reproduce.
"""
