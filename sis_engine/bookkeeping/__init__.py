"""What a campaign has, may spend, and says of itself."""
