"""TeX: a lexer, macros and what commands print, as far as a document's text needs them."""
