"""Training: the loop, checkpoints, optimisers, augmentation."""
