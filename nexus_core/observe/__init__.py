"""What happened: typed events, the bus, and the folds that remember them."""
