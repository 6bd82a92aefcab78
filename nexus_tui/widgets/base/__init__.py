"""What widgets are made of: lines that repaint, lists, columns, bars."""
