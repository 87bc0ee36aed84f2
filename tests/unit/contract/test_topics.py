"""The one list of the topics: settings, audit and names of tests and demo follow from it."""

from __future__ import annotations

from dataclasses import fields

from service.audit.sources.source import KINDS
from service.contract.topics import INPUT, RESULTS, TOPICS, TopicNames
from service.settings import PREFIX, SETTINGS_VARIABLES, Settings


def test_each_topic_has_a_setting_with_its_default_name_and_its_meaning() -> None:
    assert {one.name: one.default for one in fields(TopicNames)} == {
        topic.setting: topic.default_name for topic in TOPICS
    }
    for topic in TOPICS:
        variable = SETTINGS_VARIABLES[f"{PREFIX}{topic.setting.upper()}"]
        assert (variable.default, variable.meaning) == (topic.default_name, topic.meaning)


def test_the_first_topic_is_the_only_input_and_the_others_are_results() -> None:
    assert [topic for topic in TOPICS if topic.is_input] == [INPUT]
    assert (INPUT, *RESULTS) == TOPICS


def test_the_audit_reads_each_topic_of_the_list_under_its_role() -> None:
    assert [topic.role for topic in TOPICS] == list(KINDS)
    assert list(Settings().topic_names) == list(KINDS)


def test_a_worker_may_read_the_input_and_write_each_result() -> None:
    assert INPUT.rights == ("READ",)
    assert all("WRITE" in topic.rights for topic in RESULTS)


def test_with_a_prefix_no_name_is_shared_with_another_deployment() -> None:
    own = Settings(flush_records=7).with_prefix("t1", partitions=3)
    assert own.app_id == "t1"
    assert own.result_topics == tuple(f"t1-{topic.default_name}" for topic in RESULTS)
    assert own.input_topic == "t1-follow-events"
    assert (own.flush_records, own.partitions) == (7, 3)
    assert Settings().with_prefix("t1", input_topic="shared").input_topic == "shared"
