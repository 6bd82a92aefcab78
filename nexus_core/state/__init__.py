"""What processes of one fleet share: the interface; behind it `valkey`, imported with [fleet]."""
