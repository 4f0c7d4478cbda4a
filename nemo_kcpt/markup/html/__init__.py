"""HTML: what a page shows, its main text, and its elements as Markdown."""
