"""The report of one pair of models whose answers are compared: its typed form, as Markdown, and as a page."""
