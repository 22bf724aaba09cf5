"""The page of obfuscated training, of fitting, and of a release."""
