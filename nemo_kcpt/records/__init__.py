"""The records that steps hand to each other: their fields, and their one reader each."""
