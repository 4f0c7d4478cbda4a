"""Office's files: their parts, runs, formulas and number formats; Word, PowerPoint and Excel as they are seen."""
