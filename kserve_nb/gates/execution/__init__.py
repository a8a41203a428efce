"""Carry out a plan: the states of a rollout, where they are stored, and the traffic that gives evidence."""
