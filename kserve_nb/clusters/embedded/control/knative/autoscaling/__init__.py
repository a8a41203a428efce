"""Knative's autoscaler: how many pods each revision has, from zero to its maximum, by the requests that it gets.

It may import `framework` and modules of `knative`.
"""
