"""The node of an embedded cluster: runs pods as processes of this machine, without containers and without root.

`kubelet/` runs in the server process: it watches pods, and writes their status, events and logs. `runtime/` is a
separate process that imports KServe's model server once and forks a process for each container. They share
`protocol.py` and `container_logs.py`, import nothing else of each other, and of the cluster only its shared modules.
"""
