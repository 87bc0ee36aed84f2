"""The input records, the results and their schemas.

Pure: imports no other package of the service.
"""
