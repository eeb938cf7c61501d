"""The report's models, the table of all models, and training."""
