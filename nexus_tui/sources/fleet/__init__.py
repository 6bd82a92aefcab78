"""Several replicas as one data source."""
