"""The others: how each is told to make the same load, with the files that it needs for it."""
