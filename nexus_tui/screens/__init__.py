"""The tabs and dialogs, put together from widgets."""
