"""A model to publish: its name and files, and how they are written into a volume once."""
