"""From documents to papers.jsonl and split.json: papers, duplicates, held-out papers, the data sheet."""
