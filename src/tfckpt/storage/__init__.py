"""Files: reading parts of them, linking them, and publishing new ones all at once.

Nothing here knows what a checkpoint's bytes mean.
"""
