"""Numbers and dates as the formats of a workbook show them."""
