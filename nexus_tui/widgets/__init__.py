"""Line widgets: rows of the view model; only changed rows are repainted."""
