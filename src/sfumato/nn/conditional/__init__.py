"""Conditional layers: one set of kernels, or one module, for each category."""
