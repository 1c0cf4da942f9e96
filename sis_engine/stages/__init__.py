"""One module a stage: LABEL, MERGE, MODEL (TRAIN and ADMIT), EXPLORE, DECIDE (and AUDIT)."""
