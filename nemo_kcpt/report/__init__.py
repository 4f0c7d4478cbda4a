"""Every number in report.json; the page, the Markdown and the terminal table are made from it alone."""
