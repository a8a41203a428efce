"""What the project costs: time, memory and lost requests, measured on this machine and printed as tables."""
