"""Kubernetes' own controllers: Deployment, ReplicaSet, scheduler, Endpoints, EndpointSlice and garbage collector.

They may import `framework` and modules of this folder.
"""
