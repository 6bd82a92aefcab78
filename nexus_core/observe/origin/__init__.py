"""Where requests come from: which program sent them, and in which of its sessions."""
