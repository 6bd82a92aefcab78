"""Key bindings of the dashboard: table, Textual bindings, check of [tui.keys]."""
