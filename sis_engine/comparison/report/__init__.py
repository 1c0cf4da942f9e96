"""What a comparison shows: page, figures, tables, numbers and the methods paragraph."""
