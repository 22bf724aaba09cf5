"""The page of the rounds of an annotator: what was asked, and what came back."""
