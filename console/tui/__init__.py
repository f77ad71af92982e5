"""What the full-screen console is made of beside its widgets and screens: pump, deck, themes, helpers."""
