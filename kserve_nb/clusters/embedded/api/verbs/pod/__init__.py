"""The subresources of pods: logs, port-forward, and the refusal of exec and attach. Imports what `verbs` may import."""
