"""Where questions come from, duplicates, context filters, the draw, and a page to check a filter by eye."""
