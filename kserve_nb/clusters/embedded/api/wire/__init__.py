"""Between HTTP and objects: paths, parameters, authentication, bodies and responses. Imports `ownership` and below."""
