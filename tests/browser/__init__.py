"""Tests of the tutorial and the widgets in a real browser."""
