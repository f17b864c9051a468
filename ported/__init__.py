"""Other people's code in the libraries of today; each file names its source."""
