"""Excel: sheets, their cells as shown, and the tables on them."""
