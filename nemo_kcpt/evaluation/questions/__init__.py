"""Parts of `kcpt questions`: sources, duplicates, context filters, the draw, and the page to check a filter by eye."""
