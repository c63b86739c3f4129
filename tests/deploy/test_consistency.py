"""Port, probes, uid, variables and aliases are the same in the app's settings and wherever it is deployed."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
import yaml

from recsys_lab.serving import settings as settings_module
from recsys_lab.serving.draining import CLOSING, GRACE, REST
from recsys_lab.serving.settings import HEALTH, METRICS, PREFIX, READY, SECRETS, Settings
from tests.deploy.files import BASE, DEPLOY, ROOT, compose, container, containerfile, haproxy, kubernetes, stage

UID = "10001"
NEEDED = {
    "RECSYS_LAB_REGISTRY_URI": "http://registry.invalid",
    "RECSYS_LAB_BUNDLE_DIR": "bundles",
    "RECSYS_LAB_DATABASE_URL": "sqlite:///x.db",
}
SETTINGS = Settings.from_environment(NEEDED)
FILES = [path for path in sorted(DEPLOY.rglob("*")) if path.is_file()]


def _api() -> dict[str, Any]:
    api: dict[str, Any] = compose()["services"]["api"]
    return api


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
    assert re.findall(r"server-template api \d+ api:(\d+)", haproxy()) == [str(port)]
    assert container()["ports"] == [{"name": "http", "containerPort": port}]
    assert kubernetes("ConfigMap")["data"]["RECSYS_LAB_PORT"] == str(port)
    assert kubernetes("Service")["spec"]["ports"][0]["targetPort"] == "http"
    assert kubernetes("NetworkPolicy")["spec"]["ingress"][0]["ports"] == [{"protocol": "TCP", "port": port}]
    scrape = yaml.safe_load((DEPLOY / "monitoring" / "prometheus.yml").read_text())["scrape_configs"][0]
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
    monitor = yaml.safe_load((DEPLOY / "kubernetes/overlays/production/servicemonitor.yaml").read_text())
    assert monitor["spec"]["endpoints"][0]["path"] == METRICS
    assert monitor["spec"]["endpoints"][0]["port"] == kubernetes("Service")["spec"]["ports"][0]["name"]
    assert monitor["spec"]["selector"]["matchLabels"].items() <= kubernetes("Service")["metadata"]["labels"].items()


def test_nobody_runs_as_root_and_nothing_writes_to_the_root() -> None:
    for name in ("api", "mlflow"):
        assert re.findall(r"^USER (\S+)$", stage(name), re.MULTILINE) == [f"{UID}:{UID}"]
        assert compose()["services"][name]["user"] == f"{UID}:{UID}"
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]["securityContext"]
    assert {str(pod[name]) for name in ("runAsUser", "runAsGroup", "fsGroup")} == {UID}
    assert pod["runAsNonRoot"] is True
    assert container()["securityContext"] == {
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
    for place, names in used.items():
        assert names, place
        assert names <= _known(), f"{place}: {sorted(names - _known())} mean nothing to the app"
    text = (DEPLOY / "compose.yaml").read_text()
    assert set(re.findall(r"\$\{(RECSYS_LAB_[A-Z_]+)", text)) <= _known()


def test_values_are_ones_that_the_settings_take_and_defaults_are_theirs() -> None:
    given = {name: re.sub(r"\$\{\w+:-(.*?)\}", r"\1", value) for name, value in _api()["environment"].items()}
    for values in (given, kubernetes("ConfigMap")["data"]):
        plain = {name: value for name, value in values.items() if not name.endswith("_FILE")}
        read = Settings.from_environment(NEEDED | plain)
        for name in ("model", "alias", "challenger", "poll_seconds", "queue_size", "ab_share", "shadow"):
            assert getattr(read, name) == getattr(SETTINGS, name), name
        assert read.host == "0.0.0.0"
    assert given["RECSYS_LAB_BUNDLE_DIR"] == kubernetes("ConfigMap")["data"]["RECSYS_LAB_BUNDLE_DIR"]
    assert f"RECSYS_LAB_BUNDLE_DIR={given['RECSYS_LAB_BUNDLE_DIR']}\n" in stage("api")


def test_labels_select_the_pods() -> None:
    deployment = kubernetes("Deployment")
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert kubernetes("Service")["spec"]["selector"] == labels
    assert deployment["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes("PodDisruptionBudget")["spec"]["selector"]["matchLabels"] == labels
    assert kubernetes("NetworkPolicy")["spec"]["podSelector"]["matchLabels"] == labels
    assert kubernetes("HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]["name"] == deployment["metadata"]["name"]
    assert kubernetes("PodDisruptionBudget")["spec"]["minAvailable"] < deployment["spec"]["replicas"]


def test_an_end_has_the_time_it_needs() -> None:
    needed = GRACE + CLOSING + REST
    pod = kubernetes("Deployment")["spec"]["template"]["spec"]
    pause = float(kubernetes("ConfigMap")["data"]["RECSYS_LAB_DRAIN_SECONDS"])
    assert pod["terminationGracePeriodSeconds"] >= needed + pause
    pause = float(_api()["environment"]["RECSYS_LAB_DRAIN_SECONDS"])
    assert int(_api()["stop_grace_period"].removesuffix("s")) >= needed + pause


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


def test_secrets_are_references() -> None:
    (mounted,) = [one for one in container()["volumeMounts"] if one["name"] == "secrets"]
    files = {one["name"]: one["value"] for one in container()["env"]}
    assert set(files) == {f"{PREFIX}{name}_FILE" for name in SECRETS}
    for name, file in files.items():
        key = name.removeprefix(PREFIX).removesuffix("_FILE").lower().replace("_", "-")
        assert file == f"{mounted['mountPath']}/{key}"
    declared = set(compose()["secrets"])
    for service in compose()["services"].values():
        asked = set(service.get("secrets", []))
        assert asked <= declared
        files = {value for name, value in service.get("environment", {}).items() if name.endswith("_FILE")}
        assert files == {f"/run/secrets/{name}" for name in asked}


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
    listed = yaml.safe_load((BASE / "kustomization.yaml").read_text())["resources"]
    assert sorted(listed) == sorted(path.name for path in BASE.glob("*.yaml") if path.name != "kustomization.yaml")
