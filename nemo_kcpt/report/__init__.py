"""report.json holds the numbers; the page, the Markdown and the terminal table are made from it alone."""
