"""The kubelet: one worker per pod, which starts, probes, restarts and ends the pod's containers.

May import the protocol and the log format of the node, and the cluster's shared modules; never KServe, scikit-learn or
`runtime/`: it runs in the server process.
"""
