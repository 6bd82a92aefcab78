"""The console that Nexus was started on: is it there, and what can it show."""
