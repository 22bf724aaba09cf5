"""The pages of `sfumato pixels`: a comparison of selectors, and the rounds of an annotator."""
