"""Widgets that show evidence about two revisions: a load through a change of traffic, and where answers differ."""
