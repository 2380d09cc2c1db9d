"""Other ways to compute the same network and rule, to be compared with by experiments/bench."""
