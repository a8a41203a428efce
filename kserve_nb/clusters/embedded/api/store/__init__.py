"""Objects, their versions and change events, and their SQLite file."""
