"""HTML, XML and wikis as Markdown: formulas, raised text, and rules for the elements of articles."""
