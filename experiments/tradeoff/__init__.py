"""Accuracy against leak: every mechanism and every choice of records in one run."""
