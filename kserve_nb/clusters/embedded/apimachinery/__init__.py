"""What all parts of the embedded cluster share: the table of kinds, objects and their rules. Imports `values` alone.

Named after k8s.io/apimachinery, whose rules for names, quantities, durations and patches most modules reproduce.
"""
