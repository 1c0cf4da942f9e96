"""Several campaigns, one table: same start, same budget for every arm, judged from outside."""
