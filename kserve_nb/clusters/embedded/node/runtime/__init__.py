"""The runtime: the processes in which containers run, and the process from which they are forked.

May import the protocol and the log format of the node, KServe and scikit-learn; never `kubelet/` or the store.
"""
