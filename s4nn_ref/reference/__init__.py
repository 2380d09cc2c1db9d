"""The document: each paper's equations in plain loops, one file per paper, in its order and symbols.

NumPy only; nothing of the package is imported. Start with ds4nn.py; docs/reading.md says how to go on.
"""
