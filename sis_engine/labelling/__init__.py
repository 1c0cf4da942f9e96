"""All that stands around a label: bank, packing, remedies, the walk down a plan."""
