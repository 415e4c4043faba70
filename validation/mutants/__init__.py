"""Mutation testing: change one point of the library, and see whether a test notices."""
