"""Action handlers of the dashboard, by part of the screen; the app is an AppContext."""
