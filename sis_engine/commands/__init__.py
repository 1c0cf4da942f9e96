"""What each command does; ``cli`` parses and prints."""
