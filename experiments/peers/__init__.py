"""Other implementations of the same network and learning rule, which experiments/bench compares with ours."""
