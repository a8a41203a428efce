"""Measurements of the project: time, memory and lost requests, printed as tables."""
