"""Pasted curl commands: read them as curl does, find what is wrong, and print a corrected command.

May import the findings, the facts and `magics`.
"""
