"""What several workers of one port say together; asked by their supervisor."""
