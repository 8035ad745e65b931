"""Writes the files of the chart that are made from code: CRDs from the models, dashboards, the table of values."""
