"""Send a request to one backend after another until one answers, and pass the answer on."""
