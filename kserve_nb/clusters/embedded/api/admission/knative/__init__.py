"""Knative Serving 1.21: its defaulting webhook and its validating webhook."""
