"""Field ownership (managedFields) and the merging of fields in server-side apply."""
