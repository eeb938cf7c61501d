"""Predictions of any network for every image under every shift."""
