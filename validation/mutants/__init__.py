"""Mutation testing: change one point of the library, and check whether a test fails."""
