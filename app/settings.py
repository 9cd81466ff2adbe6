"""Configuration, typed, read from the environment once."""
