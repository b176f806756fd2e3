"""`treadle graph`: a machine as a picture.

One rule: the model says what there is, a writer says how it looks; no writer reads a definition.
"""
