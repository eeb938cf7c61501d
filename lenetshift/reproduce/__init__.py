"""The reproduction of the report: its models, trained and evaluated once, and its Table 1."""
