"""The Helm chart, and beside it the generator of those of its files that are made from code."""
