"""What each request does: one module per verb or subresource, and `app` that routes to them. Imports all of `api`."""
