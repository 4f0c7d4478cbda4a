"""MediaWiki: a page's text and the templates in it."""
