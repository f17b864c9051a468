"""Data: the UCI HAR archive, its simulated stand-ins, and anybody's own sensor, as arrays of windows."""
