"""Data sets: IDX files and embedded digits. Images are uint8 (n, H, W, C) everywhere."""
