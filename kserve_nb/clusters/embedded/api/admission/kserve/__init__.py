"""KServe 0.20: its webhooks for InferenceServices, serving runtimes and pods."""
