"""Values and errors as text and HTML that are safe to show. Imports other modules of `values` alone."""
