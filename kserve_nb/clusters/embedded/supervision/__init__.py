"""The processes of a cluster: started, watched, restarted and stopped. Imports no code that runs in them but names."""
