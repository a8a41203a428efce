"""Objects, their versions and change events, and their SQLite file. Imports the layers of `api` below."""
