"""PowerPoint: slides in the order in which people read them."""
