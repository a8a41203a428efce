"""Built-in admission of Kubernetes: defaults and validation of its own kinds, and the plugins that change pods."""
