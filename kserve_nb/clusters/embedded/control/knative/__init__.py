"""Knative Serving's controllers: Service, Configuration, Revision, Route and what they create.

They may import `framework` and modules of this folder. The autoscaler has its own folder, `autoscaling`.
"""
