"""The gates: evidence about a canary, and results that are valid at any time. Pure, except for the user's function."""
