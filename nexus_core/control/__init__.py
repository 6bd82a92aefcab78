"""What an operator may do with a running Nexus, and how it is carried out."""
