"""Raw games -> data set. `python -m encoder --spec URL`"""
