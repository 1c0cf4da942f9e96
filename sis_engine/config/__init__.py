"""What a person writes: read, checked key by key, compared with what was."""
