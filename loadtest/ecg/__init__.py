"""``python -m loadtest ecg``: does the record hold every sample, whatever the line, the processes and the
disk do.
"""
