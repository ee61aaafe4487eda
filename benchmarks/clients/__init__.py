"""Programs that a measurement starts in processes of their own, so that what they cost is not in its way."""
