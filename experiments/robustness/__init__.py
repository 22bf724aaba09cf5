"""Accuracy under attack, and certificates, method by method (spec 4 §4.2)."""
