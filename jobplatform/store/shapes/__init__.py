"""What rows look like that statements give and that are told as they are; from these the document of the API is made.

A test holds answers against them, so that a column that is added is added here.
"""
