"""Learning from labels of which some are wrong (spec 4 §4.3, appendix B)."""
