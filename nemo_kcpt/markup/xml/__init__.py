"""XML under guard, and the elements of JATS, TEI and Confluence as HTML."""
