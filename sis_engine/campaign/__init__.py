"""The loop: generations until a stop rule, one engine on one folder."""
