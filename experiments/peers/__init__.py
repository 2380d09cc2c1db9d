"""What experiments/bench compares with ours: the same network and learning rule done otherwise, and other networks."""
