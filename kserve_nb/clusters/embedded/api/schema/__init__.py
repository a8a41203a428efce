"""What each kind is to clients: discovery, OpenAPI, validation and definitions. Imports `wire` and below."""
