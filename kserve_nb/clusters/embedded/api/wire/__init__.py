"""The HTTP layer: paths, parameters, authentication, request bodies and responses."""
