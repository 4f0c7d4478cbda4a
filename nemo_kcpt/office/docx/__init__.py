"""Word: what a document shows of its paragraphs, lists, styles, notes and fields."""
