"""The program that runs on boards: its build, its specification, ways to run it."""
