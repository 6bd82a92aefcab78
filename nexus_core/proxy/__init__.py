"""The proxy: try one backend after another, and relay the answer."""
