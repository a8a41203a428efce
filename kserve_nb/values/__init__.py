"""Frozen values and pure functions that every other folder uses. Imports no other folder."""
