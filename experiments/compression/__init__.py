"""Smaller networks: every method of pruning from one network per seed, in one run."""
