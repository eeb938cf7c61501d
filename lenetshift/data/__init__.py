"""Images and labels: data sets, the files they are read from, and moved copies for training."""
