"""Line widgets: each draws its rows from the view model and repaints only those that changed."""
