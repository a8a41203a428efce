"""The tutorial in a real browser."""
