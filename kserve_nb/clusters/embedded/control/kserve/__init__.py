"""KServe's controller of InferenceServices: runtime, pod, Knative Service, canary split, URL and status.

It may import `framework` and modules of this folder, and uses the other controllers only through their objects.
"""
