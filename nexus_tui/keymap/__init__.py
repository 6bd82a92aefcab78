"""Every key of the dashboard: the table, the bindings, the check of the user's own."""
