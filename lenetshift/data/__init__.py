"""Images and labels: data sets, the files that they are read from, and moved copies for training."""
