"""The command ``mbat``."""
