"""`make bench`: figures of the operator on the local cluster, beside what the best operators of the field were measured at.

130 pretend nodes of 8 GPUs, everything on this machine. Latencies are differences of the API server's own time stamps in its
audit log; counts of writes are its audit log too. Nothing here looks into the operator.
"""
