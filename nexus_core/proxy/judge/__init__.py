"""What counts as an answer: status and body, whole answers and the beginnings of streams. Pure."""
