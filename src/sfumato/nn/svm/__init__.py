"""Stochastic and Bayesian support vector machines."""
