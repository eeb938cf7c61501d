"""The study: the report's numbers and claims, tested over many seeds."""
