"""The small languages inside a manifest's texts, parsed without side effects.

Validation, the verdict and the runner read the same texts; they share these parsers so that a text means one thing.
Nothing here evaluates a template or sees a response: a parser gives a value that says what was written.
"""
