"""From documents to papers.jsonl and split.json: readers, cleaning, duplicates, held-out papers."""
