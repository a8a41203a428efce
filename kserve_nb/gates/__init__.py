"""Gated rollouts: plans, evidence, anytime-valid gates, and the runner that acts on them. Imports `rollout`."""
