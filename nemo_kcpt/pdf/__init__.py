"""PDF: a page's characters, columns, tables, notes and raised text, in the order of reading."""
