"""Rules of runs that began under 0.1 to 0.3: they go on by them until they roll over."""
