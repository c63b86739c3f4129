"""Port, probes, uid, variables and aliases are the same in the app's settings and wherever it is deployed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from http import HTTPStatus
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from recsys_lab.serving import settings as settings_module
from recsys_lab.serving.draining import CLOSING, GRACE, REST
from recsys_lab.serving.settings import HEALTH, METRICS, PREFIX, READY, SECRETS, Settings
from tests.deploy.files import (
    BASE,
    DEPLOY,
    ROOT,
    compose,
    container,
    containerfile,
    haproxy,
    haproxy_errors,
    kubernetes,
    registry,
    stage,
)

UID = "10001"
PRODUCTION = DEPLOY / "kubernetes" / "overlays" / "production"
NEEDED = {
    "RECSYS_LAB_REGISTRY_URI": "http://registry.invalid",
    "RECSYS_LAB_BUNDLE_DIR": "bundles",
    "RECSYS_LAB_DATABASE_URL": "sqlite:////x.db",
}
SETTINGS = Settings.from_environment(NEEDED)
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file() and "__pycache__" not in path.parts]


def _api() -> dict[str, Any]:
    api: dict[str, Any] = compose()["services"]["api"]
    return api


def _scraped() -> list[dict[str, Any]]:
    """What Prometheus asks, the replicas first."""
    found: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text())[
        "scrape_configs"
    ]
    return found


def _known() -> set[str]:
    """The variables that settings.py reads, those that name the file of a secret among them."""
    source = Path(settings_module.__file__).read_text()
    names = {PREFIX + name for name in re.findall(r'(?:text|read)\("([A-Z_]+)"', source)}
    secrets = {PREFIX + name for name in SECRETS}
    assert secrets <= names
    return names | {f"{name}_FILE" for name in secrets}


def test_the_port_is_the_same_everywhere() -> None:
    port = SETTINGS.port
    assert f"EXPOSE {port}\n" in stage("api")
    assert f"RECSYS_LAB_PORT={port} " in stage("api")
    assert f"127.0.0.1:{port}{HEALTH}" in stage("api")
    assert _api()["environment"]["RECSYS_LAB_PORT"] == str(port)
    assert f"127.0.0.1:{port}{HEALTH}" in " ".join(_api()["healthcheck"]["test"])
    assert re.findall(r'server-template api \d+ "\$\{API_HOST\}:(\d+)"', haproxy()) == [str(port)]
    assert container()["ports"] == [{"name": "http", "containerPort": port}]
    assert kubernetes("ConfigMap")["data"]["RECSYS_LAB_PORT"] == str(port)
    (exposed,) = kubernetes("Service")["spec"]["ports"]
    assert (exposed["port"], exposed["targetPort"]) == (port, "http")
    assert kubernetes("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    scrape = _scraped()[0]
    assert scrape["dns_sd_configs"][0]["port"] == port
    assert scrape.get("metrics_path", "/metrics") == METRICS


def test_probes_ask_what_the_app_answers() -> None:
    assert re.findall(r"option httpchk GET (\S+)", haproxy()) == [READY]
    probes = {name: probe["httpGet"] for name, probe in container().items() if name.endswith("Probe")}
    assert probes == {
        "startupProbe": {"path": HEALTH, "port": "http"},
        "livenessProbe": {"path": HEALTH, "port": "http"},
        "readinessProbe": {"path": READY, "port": "http"},
    }
    monitors = list(yaml.safe_load_all((PRODUCTION / "servicemonitor.yaml").read_text()))
    jobs = [one["job_name"] for one in _scraped()]
    for monitor, job in zip(monitors, jobs, strict=True):
        service = kubernetes("Service", monitor["metadata"]["name"])
        (endpoint,) = monitor["spec"]["endpoints"]
        assert endpoint["path"] == METRICS
        assert endpoint["port"] == service["spec"]["ports"][-1]["name"]
        assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job}]
        assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()


def test_the_operator_has_the_rules_of_prometheus() -> None:
    rules = yaml.safe_load((PRODUCTION / "prometheusrule.yaml").read_text())
    assert rules["kind"] == "PrometheusRule"
    assert rules["spec"] == yaml.safe_load((DEPLOY / "monitoring" / "rules.yml").read_text())


def test_the_proxy_listens_where_it_is_asked() -> None:
    ports = {int(port) for port in re.findall(r"(?m)^    bind :(\d+)", haproxy())}
    listed = container("recsys-lab-proxy")["ports"]
    assert {one["containerPort"] for one in listed} == ports == {8080, 8443, 8404}
    named = {one["name"]: one["containerPort"] for one in listed}
    service = kubernetes("Service", "recsys-lab-proxy")["spec"]
    assert {one["targetPort"] for one in service["ports"]} == set(named)
    allowed = kubernetes("NetworkPolicy", "recsys-lab-proxy")["spec"]["ingress"]
    assert {one["ports"][0]["port"]: "from" in one for one in allowed} == {8443: False, 8080: True, 8404: True}
    (rule,) = yaml.safe_load((PRODUCTION / "ingress.yaml").read_text())["spec"]["rules"]
    backend = rule["http"]["paths"][0]["backend"]["service"]
    assert backend == {"name": "recsys-lab-proxy", "port": {"name": "http"}}
    (published,) = compose()["services"]["proxy"]["ports"]  # TLS alone
    assert published.rpartition(":")[2] == str(named["https"])
    assert f"proxy:{named['status']}" in str(_scraped())
    probes = [one["httpGet"] for name, one in container("recsys-lab-proxy").items() if name.endswith("Probe")]
    (health,) = re.findall(r"monitor-uri (\S+)", haproxy())
    assert probes == [{"path": health, "port": "status"}] * 2


def test_the_proxy_finds_its_files_and_the_replicas() -> None:
    assert "presetenv SECRETS /run/secrets\n" in haproxy()
    used = set(re.findall(r"\$\{SECRETS\}/([a-z_.]+)", haproxy())) | {"tls.key"}
    assert set(compose()["services"]["proxy"]["secrets"]) == used
    pod = kubernetes("Deployment", "recsys-lab-proxy")["spec"]["template"]["spec"]
    (held,) = [one["projected"]["sources"] for one in pod["volumes"] if "projected" in one]
    assert {item["path"] for one in held for item in one["secret"]["items"]} == used
    mounted = {one["name"]: one["mountPath"] for one in container("recsys-lab-proxy")["volumeMounts"]}
    environ = {one["name"]: one.get("value") for one in container("recsys-lab-proxy")["env"]}
    assert environ["SECRETS"] == mounted["secrets"]
    assert environ["API_HOST"] == f"{kubernetes('Service')['metadata']['name']}.$(NAMESPACE).svc.cluster.local"
    assert kubernetes("Service")["spec"]["clusterIP"] == "None"  # its name means the replicas
    assert "presetenv API_HOST api\n" in haproxy()
    (config,) = compose()["services"]["proxy"]["configs"]
    assert config["target"] == f"{mounted['config']}/haproxy.cfg"
    assert compose()["configs"][config["source"]]["file"] == "proxy/haproxy.cfg"
    (most,) = re.findall(r"server-template api (\d+) ", haproxy())
    assert int(most) >= kubernetes("HorizontalPodAutoscaler")["spec"]["maxReplicas"]


def test_each_network_joins_who_has_to_speak() -> None:
    networks = compose()["networks"]
    joined = {
        name: {one for one, about in compose()["services"].items() if name in about["networks"]} for name in networks
    }
    assert joined == {
        "service": {"proxy", "api", "prometheus"},
        "registry": {"api", "mlflow"},
        "database": {"api", "postgres"},
        "outside": {"proxy"},
        "here": {"mlflow", "prometheus"},
    }
    assert {name for name, about in networks.items() if about.get("internal")} == {"service", "registry", "database"}
    published = [port for one in compose()["services"].values() for port in one.get("ports", [])]
    assert [port for port in published if not port.startswith("127.0.0.1:")] == ["${PORT:-8443}:8443"]


def test_the_registry_has_its_passwords() -> None:
    mlflow = compose()["services"]["mlflow"]
    assert set(mlflow["secrets"]) == {f"registry_{user}" for user in registry.USERS}
    reader = registry.READER
    assert _api()["environment"]["MLFLOW_TRACKING_USERNAME"] == reader
    assert _api()["environment"]["RECSYS_LAB_REGISTRY_PASSWORD_FILE"] == f"/run/secrets/registry_{reader}"
    assert f"registry_{registry.PROMOTER}" not in _api()["secrets"]
    assert kubernetes("ConfigMap")["data"]["MLFLOW_TRACKING_USERNAME"] == reader
    assert '"/srv/mlflow/registry.py"' in stage("mlflow")


def test_nobody_runs_as_root_and_nothing_writes_to_the_root() -> None:
    for name in ("api", "mlflow"):
        assert re.findall(r"^USER (\S+)$", stage(name), re.MULTILINE) == [f"{UID}:{UID}"]
        assert compose()["services"][name]["user"] == f"{UID}:{UID}"
    for name, uid in (("recsys-lab-api", UID), ("recsys-lab-proxy", "99")):  # haproxy in its image
        pod = kubernetes("Deployment", name)["spec"]["template"]["spec"]["securityContext"]
        assert {str(pod[one]) for one in ("runAsUser", "runAsGroup", "fsGroup")} == {uid}
        assert pod["runAsNonRoot"] is True
        assert container(name)["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
    for name, service in compose()["services"].items():
        assert name == "postgres" or (service["read_only"] and service["cap_drop"] == ["ALL"]), name


def test_every_variable_is_one_that_the_settings_read() -> None:
    environment = container()["env"]
    used = {
        "Containerfile": set(re.findall(r"\b(RECSYS_LAB_[A-Z_]+)=", containerfile())),
        "compose": set(_api()["environment"]),
        "kubernetes": set(kubernetes("ConfigMap")["data"]) | {one["name"] for one in environment},
    }
    for place, every in used.items():
        names = every - {"MLFLOW_TRACKING_USERNAME"}  # of MLflow's client
        assert names, place
        assert names <= _known(), f"{place}: {sorted(names - _known())} mean nothing to the app"
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(RECSYS_LAB_[A-Z_]+)", text)) <= _known()


def test_values_are_ones_that_the_settings_take_and_defaults_are_theirs() -> None:
    given = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in _api()["environment"].items()}
    for values in (given, kubernetes("ConfigMap")["data"]):
        plain = {name: value for name, value in values.items() if not name.endswith("_FILE")}
        read = Settings.from_environment(NEEDED | plain)
        for name in (
            "model",
            "alias",
            "challenger",
            "poll_seconds",
            "queue_size",
            "ab_share",
            "shadow",
            "retention_days",
        ):
            assert getattr(read, name) == getattr(SETTINGS, name), name
        assert read.host == "0.0.0.0"
    assert given["RECSYS_LAB_BUNDLE_DIR"] == kubernetes("ConfigMap")["data"]["RECSYS_LAB_BUNDLE_DIR"]
    assert f"RECSYS_LAB_BUNDLE_DIR={given['RECSYS_LAB_BUNDLE_DIR']}\n" in stage("api")


@pytest.mark.parametrize("name", ["recsys-lab-api", "recsys-lab-proxy"])
def test_labels_select_the_pods(name: str) -> None:
    deployment = kubernetes("Deployment", name)
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert kubernetes("Service", name)["spec"]["selector"] == labels
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes("PodDisruptionBudget", name)["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes("NetworkPolicy", name)["spec"]["podSelector"]["matchLabels"] == labels
    assert kubernetes("PodDisruptionBudget", name)["spec"]["minAvailable"] < deployment["spec"]["replicas"]
    if name == "recsys-lab-api":
        assert kubernetes("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == name


def test_an_end_has_the_time_it_needs() -> None:
    needed = GRACE + CLOSING + REST
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]
    pause = float(kubernetes("ConfigMap")["data"]["RECSYS_LAB_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= needed + pause
    pause = float(_api()["environment"]["RECSYS_LAB_DRAIN_SECONDS"])
    assert int(_api()["stop_grace_period"].removesuffix("s")) >= needed + pause
    (hard,) = map(int, re.findall(r"hard-stop-after (\d+)s", haproxy()))
    proxy = kubernetes("Deployment", "recsys-lab-proxy")["spec"]["template"]["spec"]
    sleep = int(container("recsys-lab-proxy")["lifecycle"]["preStop"]["exec"]["command"][1])
    assert proxy["terminationGracePeriodSeconds"] > sleep + hard
    assert int(compose()["services"]["proxy"]["stop_grace_period"].removesuffix("s")) > hard


def test_a_replica_answers_on_until_everybody_knows_that_it_ends() -> None:
    interval, fall = map(int, re.findall(r"check inter (\d+)ms fall (\d+)", haproxy())[0])
    seen = (fall + 1) * interval / 1000  # the proxy has asked as often as it needs, however the first look fell
    assert float(_api()["environment"]["RECSYS_LAB_DRAIN_SECONDS"]) >= seen + 1
    probe = container()["readinessProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] <= 5
    assert float(kubernetes("ConfigMap")["data"]["RECSYS_LAB_DRAIN_SECONDS"]) >= 5  # until each node has heard


def test_the_pages_name_the_bounds_of_the_proxy() -> None:
    serving, operations = ((ROOT / "docs" / f"{name}.md").read_text() for name in ("serving", "operations"))
    (wait,) = re.findall(r"timeout queue (\d+)ms", haproxy())
    (most,) = re.findall(r"rise 1 maxconn (\d+)", haproxy())
    assert f"after {wait} ms in its queue" in serving
    assert f"lets {most} requests" in operations
    assert f"at most {wait} ms, then answers 503" in operations
    (size,) = re.findall(r"tune.bufsize (\d+)", haproxy())
    assert f"over {int(size) // 1024} KB is not kept" in serving
    (rate,) = re.findall(r"sc_http_req_rate\(0\) gt (\d+)", haproxy())
    assert f"may make {rate} requests" in operations
    (hang,) = re.findall(r"timeout server (\d+)s", haproxy())
    assert f"has not answered after {hang} s" in serving


def test_each_error_of_the_proxy_is_a_problem() -> None:
    problems = haproxy_errors()
    assert set(problems) == {400, 403, 404, 408, 429, 500, 502, 503, 504}
    for status, problem in problems.items():
        assert (problem["status"], problem["title"]) == (status, HTTPStatus(status).phrase)
        assert set(problem) == {"type", "title", "status", "detail"}


def test_secrets_are_references() -> None:
    (mounted,) = [one for one in container()["volumeMounts"] if one["name"] == "secrets"]
    files = {one["name"]: one["value"] for one in container()["env"]}
    assert set(files) == {f"{PREFIX}{name}_FILE" for name in SECRETS}
    for name, file in files.items():
        key = name.removeprefix(PREFIX).removesuffix("_FILE").lower().replace("_", "-")
        assert file == f"{mounted['mountPath']}/{key}"
    declared = set(compose()["secrets"])
    services = compose()["services"]
    assert declared == {secret for one in services.values() for secret in one.get("secrets", [])}
    for name in ("api", "postgres"):
        files = {value for key, value in services[name]["environment"].items() if key.endswith("_FILE")}
        assert files == {f"/run/secrets/{secret}" for secret in services[name]["secrets"]}


def test_the_operations_page_makes_every_secret() -> None:
    page = (ROOT / "docs" / "operations.md").read_text()
    made = set(re.findall(r"deploy/secrets/([a-z_.]+)", page))
    assert made >= set(compose()["secrets"])
    keys = set(re.findall(r"--from-file=([a-z-]+)=", page))
    assert keys == {Path(one["value"]).name for one in container()["env"]}


def test_every_service_of_the_stack_is_watched_and_bounded() -> None:
    for name, service in compose()["services"].items():
        assert service["healthcheck"]["test"], name
        assert service["deploy"]["resources"]["limits"]["memory"], name
        assert service["deploy"]["restart_policy"], name
    assert _api()["deploy"]["replicas"] == 2
    assert _api()["deploy"]["update_config"]["order"] == "start-first"
    assert set(compose()["networks"]) >= {net for one in compose()["services"].values() for net in one["networks"]}


def test_images_need_only_what_the_lab_names() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    named = [*project["dependencies"], *project["optional-dependencies"]["serve"], "mlflow-skinny", "psycopg[binary]"]
    known = {re.split(r"[\[><=~ ]", name)[0].lower() for name in named}
    wanted = {re.split(r"[\[=]", line)[0] for line in _requirements()}
    assert wanted <= known
    assert "jupyterlab" not in wanted
    lines = [*(ROOT / "constraints.txt").read_text().splitlines(), *_requirements()]
    pinned = {re.split(r"[\[=]", line)[0].lower() for line in lines if "==" in line}
    assert {name.replace("-", "_") for name in wanted} <= {name.replace("-", "_") for name in pinned}


def test_the_image_has_all_that_the_service_imports() -> None:
    code = (
        "import json, sys, recsys_lab.cli.serving, recsys_lab.serving.run, recsys_lab.serving.app;"
        "print(json.dumps(sorted({name.split('.')[0] for name in sys.modules})))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    owners = metadata.packages_distributions()
    loaded = {owner.lower().replace("_", "-") for name in json.loads(run.stdout) for owner in owners.get(name, [])}
    there = _closure([re.split(r"[\[=]", line)[0] for line in _requirements()])
    # optional: numpy.f2py guesses encodings with charset-normalizer, if it is here
    ours = {"recsys-lab", "setuptools", "coverage", "pytest-cov", "charset-normalizer"}
    # optional: the spans of tracing, which stay off where OpenTelemetry is missing
    assert {name for name in loaded - there - ours if not name.startswith("opentelemetry")} == set()


def _requirements() -> list[str]:
    lines = (DEPLOY / "requirements.txt").read_text().splitlines()
    return [line for line in lines if not line.startswith("#")]


def _closure(names: list[str]) -> set[str]:
    """``names`` and all that they require, without extras."""
    found: set[str] = set()
    while names:
        name = names.pop().lower().replace("_", "-")
        if name in found:
            continue
        found.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:  # in the image, not here
            continue
        names += [re.split(r"[\[><=!~; (]", need)[0] for need in needs if "extra ==" not in need]
    return found


@pytest.mark.parametrize("file", FILES, ids=lambda file: str(file.relative_to(DEPLOY)))
def test_files_parse_and_name_no_registry_and_no_machine(file: Path) -> None:
    text = file.read_text()
    if file.suffix in (".yaml", ".yml"):
        assert list(yaml.safe_load_all(text))
    # an image's name may have one slash, and no dot or port before it: that would be a host
    for image in re.findall(r"(?:image:|FROM|ARG BASE=)\s*(\S+)", text):
        name = re.sub(r"\$\{\w+:-(.*)\}", r"\1", re.sub(r"\$\{IMAGES:-\}", "", image))
        assert "." not in name.split(":")[0], image
    assert not re.search(r"/(?:home|work|Users)/", text)
    assert str(ROOT) not in text


def test_the_base_names_its_files() -> None:
    proxy, *listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert (BASE / proxy).resolve() == DEPLOY / "proxy"
    assert sorted(listed) == sorted(path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")
