"""A small campaign is killed, starved and damaged, and has to come to the same end."""
