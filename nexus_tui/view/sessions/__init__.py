"""Sessions of agents, added up from the requests that the screen knows."""
