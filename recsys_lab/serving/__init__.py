"""A promoted model as a service: the bundle it is served from, the API, its page, feedback and monitoring.

It imports data and algorithms of this package and nothing else of ours, so an image needs no notebooks and no MLflow
server to answer.
"""
