"""The tutorial's commands in notebook cells: %kubectl and %curl. Imports `values` only."""
