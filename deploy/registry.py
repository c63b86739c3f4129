"""MLflow's server behind passwords: replicas read, who promotes may write, nobody may do more.

python registry.py [arguments of mlflow server]

SECRETS (/run/secrets) is the folder of their passwords, each in the file ``registry_<user>``; STATE (/mlflow) is where
MLflow keeps its users. A changed password holds from the next start on.
"""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import Any

USERS = READER, PROMOTER = ("replica", "promoter")
CONFIG = """[mlflow]
default_permission = EDIT
database_uri = {database}
authorization_function = registry:authenticate
auth_cache_ttl_seconds = 60
"""


def authenticate() -> Any:
    """MLflow's check of the password, and reading alone for replicas: MLflow lets any user make new models."""
    from flask import request
    from mlflow.server import auth

    found = auth.authenticate_request_basic_auth()
    if getattr(found, "username", None) == READER and request.method not in ("GET", "HEAD", "OPTIONS"):
        return auth.make_forbidden_response()
    return found


def main() -> None:
    """Set the passwords and become MLflow's server."""
    from mlflow.server.auth.sqlalchemy_store import SqlAlchemyStore

    folder, state = Path(os.environ.get("SECRETS", "/run/secrets")), Path(os.environ.get("STATE", "/mlflow"))
    database, config = f"sqlite:///{state}/users.db", state / "users.ini"
    store = SqlAlchemyStore()
    store.init_db(database)
    for user in USERS:
        password = (folder / f"registry_{user}").read_text(encoding="utf-8").strip()
        if store.has_user(user):
            store.update_user(user, password=password)
        else:
            store.create_user(user, password)
    config.write_text(CONFIG.format(database=database), encoding="utf-8")
    os.environ |= {
        "MLFLOW_AUTH_CONFIG_PATH": str(config),
        # MLflow makes an administrator at its first start: one whose password nobody has
        "MLFLOW_AUTH_ADMIN_USERNAME": "nobody",
        "MLFLOW_AUTH_ADMIN_PASSWORD": secrets.token_hex(32),
        "MLFLOW_FLASK_SERVER_SECRET_KEY": secrets.token_hex(32),
        "MLFLOW_BASIC_AUTH_FAIL_CLOSED": "true",  # a route that MLflow has no rule for is closed
        # registry:authenticate is found beside this file
        "PYTHONPATH": os.pathsep.join(filter(None, [str(Path(__file__).parent), os.environ.get("PYTHONPATH")])),
    }
    command = [sys.executable, "-m", "mlflow", "server", "--app-name", "basic-auth", *sys.argv[1:]]
    os.execv(sys.executable, command)


if __name__ == "__main__":
    main()
