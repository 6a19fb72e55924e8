"""Which GPUs, how many, cut how: request, facts and snapshot become a plan or a rejection."""
