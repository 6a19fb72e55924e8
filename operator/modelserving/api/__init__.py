"""The contract: the ModelServing resource, and the CRD generated from it."""
