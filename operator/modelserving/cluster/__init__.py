"""What the cluster has: GPU products, nodes, what is free."""
