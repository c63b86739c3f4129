"""One module a contender: its ``JOBS`` make a ``Job`` from the inputs. Each imports only what its environment has."""
