"""Bayesian layers: the weights themselves are drawn from a learned distribution."""
