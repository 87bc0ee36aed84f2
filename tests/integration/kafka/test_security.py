"""TLS, SASL and ACLs on a real Kafka: a worker with the rights counts exactly.

A worker without them soon says which right is missing. The rights are those of the table in
docs/operate/security.md. Together they are enough. Without any one of them the worker prints the
line that the table has for it.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import pytest
from aiokafka.errors import KafkaError

from service.contract.topics import TOPICS
from service.kafka import clients
from service.local.broker import LocalBroker
from service.local.worker_process import ROOT, environment
from service.settings import Settings
from tests.support.deployment import Deployment, Worker
from tests.support.deployment_fixtures import deployment_on, settings_for
from tests.support.patience import Patience, until
from tests.support.secured_broker import Authority, Right, Secured, token
from tests.support.traffic import mixed

pytestmark = [pytest.mark.broker, pytest.mark.transactions]

AT_A_TIME: Final = 4
LIVES_S: Final = 6.0
Ways = Callable[[Secured, Path], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Line:
    """One right of the table: `without` it, `code` and the text."""

    who: str
    kind: str
    pattern: str
    name: str
    operation: str
    code: str
    without: str

    def right(self, user: str, settings: Settings) -> Right:
        """For a user, with the names of a deployment."""
        return Right(user, self.kind, self.pattern, self.named(self.name, settings), self.operation)

    def says(self, settings: Settings) -> str:
        """What is said without it."""
        return self.without.replace("NAME", self.named(self.name, settings))

    @staticmethod
    def named(default: str, settings: Settings) -> str:
        """The deployment's name of what the table calls by its default name."""
        ours = {one.default_name: settings.topic(one) for one in TOPICS}
        ours[Settings().app_id] = settings.app_id
        ours[f"{Settings().app_id}-"] = f"{settings.app_id}-"
        return ours.get(default, default)


def table() -> list[Line]:
    """Read docs/operate/security.md; a row that names several resources is several lines."""
    text = (ROOT / "docs" / "operate" / "security.md").read_text()
    rows = text.split("| program | resource |")[1].split("\n\n")[0].splitlines()[2:]
    found = []
    for row in rows:
        who, resource, names, operation, code, without = (
            cell.strip() for cell in row.strip("|").split("|")
        )
        kind, _, prefixed = resource.partition(", ")
        for name in names.split(", "):
            pattern = prefixed or "literal"
            plain = name.strip("`"), operation, code, without.strip("`")
            found.append(Line(who, kind, pattern, *plain))
    return found


TABLE: Final = table()


def user_of(who: str, missing: Line | None = None) -> str:
    """A user for each role, and one for each role without one of its rights."""
    name = who.replace(" ", "-")
    return name if missing is None else f"{name}-without-{TABLE.index(missing)}"


@pytest.fixture(scope="module")
def secured(kafka: LocalBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secured]:
    """The broker of these tests. Without a Kafka they are skipped."""
    assert kafka.has_transactions
    users = ["worker", *(user_of(line.who) for line in TABLE)]
    users += [user_of(line.who, line) for line in TABLE]
    with Secured(tmp_path_factory.mktemp("secured"), dict.fromkeys(users)) as broker:
        yield broker


@pytest.fixture
async def deployed(secured: Secured, unique: str, tmp_path: Path) -> AsyncIterator[Deployment]:
    """A deployment on which the user `worker` may do what the table says."""
    async with deployment_on(secured.broker, unique, tmp_path) as deployment:
        await secured.grant(rights_of("worker", "worker", deployment.settings))
        yield deployment


def rights_of(who: str, user: str, settings: Settings, *, but: Line | None = None) -> list[Right]:
    return [line.right(user, settings) for line in TABLE if line.who == who and line != but]


def a_file(home: Path, text: str) -> Path:
    """A file that holds a secret."""
    path = home / "secret"
    path.write_text(text)
    return path


def by_sasl(mechanism: str) -> Ways:
    return lambda secured, _: secured.over_sasl("worker", mechanism)


def by_token(secured: Secured, home: Path) -> dict[str, Any]:
    return secured.with_token(a_file(home, token("worker", 600)))


def by_certificate(secured: Secured, _: Path) -> dict[str, Any]:
    certificate, key = secured.authority.certify("worker")
    return {
        "brokers": secured.ssl,
        "security_protocol": "SSL",
        "ssl_cafile": str(secured.authority.ca),
        "ssl_certfile": str(certificate),
        "ssl_keyfile": str(key),
    }


RIGHT: Final[dict[str, Ways]] = {
    "PLAIN": by_sasl("PLAIN"),
    "SCRAM-SHA-256": by_sasl("SCRAM-SHA-256"),
    "SCRAM-SHA-512": by_sasl("SCRAM-SHA-512"),
    "OAUTHBEARER": by_token,
    "certificate": by_certificate,
}


def secrets_of(settings: Settings) -> list[str]:
    """Every secret that a worker was given."""
    files = (settings.sasl_password_file, settings.sasl_oauth_token_file, settings.ssl_keyfile)
    found = [Path(path).read_text().strip() for path in files if path]
    return [line for text in found for line in text.splitlines() if "PRIVATE KEY" not in line]


def keeps_its_secrets(worker: Worker) -> bool:
    """Whether nothing secret stands in its log."""
    return not any(secret in worker.said() for secret in secrets_of(worker.settings))


@pytest.mark.parametrize("way", RIGHT)
async def test_counts_exactly_and_keeps_its_secrets(
    secured: Secured, deployed: Deployment, tmp_path: Path, way: str
) -> None:
    worker = deployed.worker(**RIGHT[way](secured, tmp_path), log_level="debug")
    assert worker.settings.ssl_check_hostname
    await deployed.produce(mixed(3_000))
    await worker.until("ready")
    await deployed.caught_up()
    assert await worker.stop() == 0
    report = await deployed.audit()
    assert report.compared["partitions"] == 4
    assert keeps_its_secrets(worker)


async def renewed(file: Path) -> None:
    """Write a fresh token, again and again."""
    while True:
        fresh = file.with_name("fresh")
        fresh.write_text(token("worker", LIVES_S))
        fresh.rename(file)
        await asyncio.sleep(LIVES_S / 6)


async def test_a_token_that_lives_for_seconds_is_renewed_under_way(
    secured: Secured, deployed: Deployment, tmp_path: Path
) -> None:
    """The broker cuts every connection whose token has expired; the next one has a fresh token."""
    file = tmp_path / "secret"
    renewing = asyncio.create_task(renewed(file))
    await until(file.exists, "a token")
    worker = deployed.worker(**secured.with_token(file))
    try:
        await worker.until("ready")
        expired, seed = time.monotonic() + 2.5 * LIVES_S, 0
        while time.monotonic() < expired:
            seed += 1
            await deployed.produce(mixed(500, seed=seed))
            await asyncio.sleep(0.2)
        await deployed.caught_up()
        assert await worker.stop() == 0
    finally:
        renewing.cancel()
    await deployed.audit()


def wrong_password(mechanism: str) -> Ways:
    return lambda secured, home: secured.over_sasl(
        "worker", mechanism, sasl_password_file=str(a_file(home, "pw-of-somebody-else"))
    )


def wrong_ca(secured: Secured, home: Path) -> dict[str, Any]:
    return secured.over_sasl("worker", ssl_cafile=str(Authority(home, "other").ca))


def wrong_host(secured: Secured, _: Path) -> dict[str, Any]:
    return secured.over_sasl("worker", brokers=secured.sasl.replace("127.0.0.1", "localhost"))


def expired_token(secured: Secured, home: Path) -> dict[str, Any]:
    return secured.with_token(a_file(home, token("worker", -5)))


def no_token(secured: Secured, home: Path) -> dict[str, Any]:
    return secured.with_token(a_file(home, "no-token-at-all"))


def strange_certificate(secured: Secured, home: Path) -> dict[str, Any]:
    certificate, key = Authority(home, "other").certify("worker")
    changes = by_certificate(secured, home)
    return changes | {"ssl_certfile": str(certificate), "ssl_keyfile": str(key)}


def no_certificate(secured: Secured, home: Path) -> dict[str, Any]:
    return by_certificate(secured, home) | {"ssl_certfile": "", "ssl_keyfile": ""}


def no_tls(secured: Secured, _: Path) -> dict[str, Any]:
    return {"brokers": secured.sasl}


def no_sasl(secured: Secured, home: Path) -> dict[str, Any]:
    return by_certificate(secured, home) | {"brokers": secured.sasl}


def tls_on_plaintext(secured: Secured, _: Path) -> dict[str, Any]:
    return secured.over_sasl("worker", brokers=secured.broker.bootstrap)


WRONG: Final[dict[str, tuple[Ways, str]]] = {
    "password": (wrong_password("PLAIN"), "PLAIN authentication of user 'worker' failed"),
    "scram": (wrong_password("SCRAM-SHA-512"), "SCRAM-SHA-512 authentication of user 'worker'"),
    "ca": (wrong_ca, "certificate is not accepted (NETFOLLOWERS_SSL_CAFILE): self-signed"),
    "host": (wrong_host, "not accepted (NETFOLLOWERS_SSL_CAFILE): Hostname mismatch"),
    "expired": (expired_token, "SASL_OAUTH_TOKEN_FILE), which is valid until"),
    "token": (no_token, "OAUTHBEARER authentication of the token (NETFOLLOWERS_SASL_OAUTH"),
    "stranger": (strange_certificate, "NETFOLLOWERS_SSL_CERTFILE"),
    "nobody": (no_certificate, "NETFOLLOWERS_SSL_CERTFILE"),
    "no-tls": (no_tls, "NETFOLLOWERS_SECURITY_PROTOCOL?"),
    "no-sasl": (no_sasl, "NETFOLLOWERS_SECURITY_PROTOCOL?"),
    "tls": (tls_on_plaintext, "NETFOLLOWERS_SECURITY_PROTOCOL"),
}


@pytest.mark.parametrize("what", WRONG)
async def test_who_is_wrong_is_told_why_in_one_line(
    secured: Secured, tmp_path: Path, what: str
) -> None:
    way, words = WRONG[what]
    settings = replace(settings_for(secured.sasl, "wrong"), **way(secured, tmp_path))
    worker = Worker(settings, tmp_path / "worker.log")
    (code, said), ended = await asyncio.gather(command(settings, "topics", "check"), worker.ended())
    assert ended == 3, worker.said()
    lines = worker.said().splitlines()
    assert len(lines) <= 3, worker.said()
    assert [line for line in lines if "CRITICAL" in line and words in line], worker.said()
    assert keeps_its_secrets(worker)
    assert code == 3
    assert words in said
    assert said.count("\n") == 1


async def test_a_token_that_nobody_renews_ends_the_worker(
    secured: Secured, deployed: Deployment, tmp_path: Path
) -> None:
    file = tmp_path / "secret"
    renewing = asyncio.create_task(renewed(file))
    await until(file.exists, "a token")
    worker = deployed.worker(**secured.with_token(file), transaction_timeout_s=5.0)
    await worker.until("ready")
    renewing.cancel()
    while worker.process.poll() is None:
        await deployed.produce(mixed(200, seed=int(time.monotonic())))
        await asyncio.sleep(0.5)
    assert await worker.ended() == 70
    assert "SaslAuthenticationFailed" in worker.said(), worker.said()
    assert len(worker.said().splitlines()) < 60, worker.said()
    assert keeps_its_secrets(worker)
    file.write_text(token("worker", 600))
    again = deployed.worker(**secured.with_token(file))
    await again.until("ready")
    await deployed.caught_up()
    assert await again.stop() == 0
    await deployed.audit()


async def test_without_the_host_name_check_another_name_will_do(
    secured: Secured, deployed: Deployment, tmp_path: Path
) -> None:
    worker = deployed.worker(**wrong_host(secured, tmp_path), ssl_check_hostname=False)
    await worker.until("ready")
    assert await worker.stop() == 0


async def command(settings: Settings, *arguments: str) -> tuple[int, str]:
    """Run a command of the command line. Return exit code and all that it said."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "service", *arguments,
        env=environment(settings), cwd=ROOT,
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    said, _ = await process.communicate()
    return process.returncode or 0, said.decode()


# ---- rights: a role does its work and returns its exit code and output

Work = Callable[[Settings, Path], Any]


async def work_of_worker(settings: Settings, home: Path) -> tuple[str, str]:
    """Start one; it "starts" when it has got past its checks."""
    worker = Worker(settings, home / f"{settings.sasl_username}.log")
    try:
        await worker.until("net followers worker version")
    except AssertionError:
        return str(await worker.ended()), worker.said()
    await worker.kill()
    return "starts", worker.said()


async def work_of_producer(settings: Settings, _: Path) -> tuple[str, str]:
    """`generate`, and an idempotent producer as Java's are by default."""
    code, said = await command(settings, "generate", "--events", "2000", "--rate", "20000")
    if code == 0:
        async with clients.producer(settings, enable_idempotence=True) as producer:
            await producer.send_and_wait(settings.input_topic, b"{}", key=b"bad")
    return str(code), said


async def work_of_consumer(settings: Settings, _: Path) -> tuple[str, str]:
    """Read both result topics as a member of a group."""
    topics = (settings.updates_topic, settings.windows_topic)
    reader = clients.consumer(
        settings, group_id="my-readers", auto_offset_reset="earliest", enable_auto_commit=True
    )
    reader.subscribe(list(topics))
    try:
        await reader.start()
        seen: set[str] = set()
        patience = Patience("records of both topics")
        while seen != set(topics):
            patience.look(seen)
            seen |= {tp.topic for tp in await reader.getmany(timeout_ms=200)}
    except KafkaError as error:
        return "3", repr(error)
    finally:
        await reader.stop()
    return "0", ""


async def work_of_auditor(settings: Settings, _: Path) -> tuple[str, str]:
    code, said = await command(settings, "audit", "--at-rest")
    return str(code), said


async def work_of_creator(settings: Settings, _: Path) -> tuple[str, str]:
    code, said = await command(settings, "topics", "create")
    return str(code), said


WORK: Final[dict[str, Work]] = {
    "topics create": work_of_creator,
    "producer": work_of_producer,
    "worker": work_of_worker,
    "consumer": work_of_consumer,
    "auditor": work_of_auditor,
}


async def test_these_rights_are_enough(secured: Secured, unique: str, tmp_path: Path) -> None:
    names = settings_for(secured.sasl, unique)
    for who in WORK:
        await secured.grant(rights_of(who, user_of(who), names))

    def settings(who: str) -> Settings:
        return replace(names, **secured.over_sasl(user_of(who)))

    for who in ("topics create", "producer"):
        code, said = await WORK[who](settings(who), tmp_path)
        assert code == "0", said
    deployment = Deployment(replace(names, brokers=secured.broker.bootstrap), tmp_path)
    try:
        await deployment.produce(mixed(4_000))
        worker = await deployment.ready_worker(**secured.over_sasl(user_of("worker")))
        await deployment.finish(worker)
        assert "the broker does not tell" not in worker.said()
        again = await deployment.ready_worker(**secured.over_sasl(user_of("worker")))
        assert await again.stop() == 0
    finally:
        deployment.end_all()
    for who in ("auditor", "consumer"):
        code, said = await WORK[who](settings(who), tmp_path)
        assert code == "0", said


async def test_without_any_one_of_them_what_the_table_says_is_said(
    secured: Secured, unique: str, tmp_path: Path
) -> None:
    slots = asyncio.Semaphore(AT_A_TIME)

    async def lacks(line: Line, names: Settings) -> str:
        """Return what was wrong."""
        user = user_of(line.who, line)
        await secured.grant(rights_of(line.who, user, names, but=line))
        async with slots:
            settings = replace(names, **secured.over_sasl(user))
            code, said = await WORK[line.who](settings, tmp_path)
        wanted = line.says(names)
        is_said = any(wanted in one for one in said.splitlines())
        is_brief = line.who == "worker" or said.count("\n") <= 6
        right = code == line.code and is_said and is_brief
        return "" if right else f"{line}: exit {code}, {wanted!r} not in:\n{said[-1500:]}"

    async with deployment_on(secured.broker, unique, tmp_path) as deployment:
        await deployment.produce(mixed(2_000))
        worker = await deployment.ready_worker()
        await deployment.finish(worker)
        names = replace(deployment.settings, brokers=secured.sasl)
        creating = [
            settings_for(secured.sasl, f"{unique}-{number}") for number in range(len(TABLE))
        ]
        wrong = await asyncio.gather(
            *(
                lacks(line, creating[number] if line.who == "topics create" else names)
                for number, line in enumerate(TABLE)
            )
        )
    assert not any(wrong), "\n\n".join(filter(None, wrong))


async def test_at_least_once_needs_no_right_to_transactions(
    secured: Secured, unique: str, tmp_path: Path
) -> None:
    transactions = next(line for line in TABLE if line.kind == "transactional id")
    user = user_of("worker", transactions)
    async with deployment_on(secured.broker, unique, tmp_path) as deployment:
        await secured.grant(rights_of("worker", user, deployment.settings, but=transactions))
        changes = secured.over_sasl(user, guarantee="at_least_once")
        await deployment.produce(mixed(1_000))
        worker = await deployment.ready_worker(**changes)
        deployment.settings = replace(deployment.settings, guarantee="at_least_once")
        await deployment.finish_and_audit(worker)


async def test_a_right_that_is_taken_away_ends_a_running_worker(
    secured: Secured, deployed: Deployment
) -> None:
    user = user_of("worker", next(line for line in TABLE if line.who == "worker"))
    settings = deployed.settings
    await secured.grant(rights_of("worker", user, settings))
    worker = deployed.worker(**secured.over_sasl(user))
    await worker.until("ready")
    denied = Right(user, "topic", "literal", settings.late_topic, "WRITE", "deny")
    await secured.grant([denied])
    await deployed.produce(mixed(4_000))
    assert await worker.ended() == 70, worker.said()
    assert "exit: a checkpoint failed partition=" in worker.said()
    again = deployed.worker(**secured.over_sasl(user))
    assert await again.ended() == 2
    assert f"this user may not WRITE topic {settings.late_topic}" in again.said()
