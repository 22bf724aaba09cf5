"""Re-identification with wrong identity labels (spec 4 §4.3, table 4 and table A.1)."""
