"""Discovery, OpenAPI documents, schema validation, and the definitions of custom kinds."""
