"""What the pages share: frame, figures, pictures, tables, numbers."""
