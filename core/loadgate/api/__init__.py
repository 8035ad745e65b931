"""The resources that users write: models, their grammar, the faults found in them, and the CRDs made from them."""
