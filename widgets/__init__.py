"""What is drawn: each widget paints the visible part of a model that it does not own."""
