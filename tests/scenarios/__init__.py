"""What the gateway does as a whole: real sockets on both sides, a clock that the test turns."""
