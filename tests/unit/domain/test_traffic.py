"""The question about traffic: names only ever become parts of strings."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lazaretto.domain.traffic import FLOWS, NO_ANSWER, NO_QUERY, NONE, Traffic, together, traffic_query
from lazaretto.errors import InvalidInput


def asked(expression: str, *, namespace: str = "shop", model: str = "chat", workload: str = "chat-v1") -> str:
    return traffic_query(expression, namespace=namespace, model=model, workload=workload)


@pytest.mark.parametrize(
    ("expression", "query"),
    [
        ('rate(x{deployment="$workload"}[5m])', 'rate(x{deployment="chat-v1"}[5m])'),
        ("x{a='$namespace',b='$model'}", "x{a='shop',b='chat'}"),
        ('x{pod=~"$workload-.*"}', 'x{pod=~"chat-v1-.*"}'),
        ("x{pod=~`^$workload-[0-9]+$`}", "x{pod=~`^chat-v1-[0-9]+$`}"),
        ('x{pod=~"$workload$"}', 'x{pod=~"chat-v1$"}'),
        ('x{pod=~"a$|$workload"}', 'x{pod=~"a$|chat-v1"}'),
        ('x{a="\\"$workload"}', 'x{a="\\"chat-v1"}'),
        ("x{a='\"$workload'}", "x{a='\"chat-v1'}"),
        ("x{a=`\\`,b='$workload'}", "x{a=`\\`,b='chat-v1'}"),
        ("x # of $everybody, it's\n{a='$workload'}", "x # of $everybody, it's\n{a='chat-v1'}"),
        ('x{a="#$workload"}', 'x{a="#chat-v1"}'),
        ("x", "x"),
        ("", ""),
    ],
)
def test_names_replace_variables_within_strings(expression: str, query: str) -> None:
    assert asked(expression) == query


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("$workload", "within quotes"),
        ('x{a="b"} + $workload', "within quotes"),
        ("x{a=$workload}", "within quotes"),
        ('x{a="\\\\"} + $workload', "within quotes"),
        ("x{a=`\\`} + $workload", "within quotes"),
        ("# '\n$workload", "within quotes"),
        ('x{a="$workloads"}', "no $workloads"),
        ('x{a="$pod"}', "no $pod"),
        ("x{a='$__all'}", "no $__all"),
    ],
)
def test_a_variable_that_there_is_not_or_outside_of_quotes_is_refused(expression: str, told: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(told)):
        asked(expression)


HOSTILE = ["", '"} or vector(1) #', "a.b", "A", "a\n", "-a", "a-", "a" * 64, "ſ", "a b", "$model", "a\\", ".*"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("variable", ["namespace", "model", "workload"])
def test_a_name_that_is_no_dns_label_is_refused_even_if_it_is_not_used(variable: str, name: str) -> None:
    with pytest.raises(InvalidInput, match=f"the name of the {variable} is no DNS label"):
        asked("x", **{variable: name})


PIECES = st.lists(
    st.sampled_from(["$workload", "$model", "$", '"', "'", "`", "#", "\n", "\\", "x", "{a=", "}", " or "]), max_size=12
)


@given(PIECES, st.from_regex(r"[a-z0-9]([-a-z0-9]{0,8}[a-z0-9])?", fullmatch=True))
def test_whatever_the_expression_names_leave_its_shape_as_it_is(pieces: list[str], name: str) -> None:
    """What is no name stands where it stood, character by character."""
    expression = "".join(pieces)
    try:
        query = asked(expression, workload=name, model=name)
    except InvalidInput:
        return
    pattern = re.escape(expression)
    for variable in ("workload", "model"):
        pattern = pattern.replace(re.escape(f"${variable}"), f"(?:{re.escape(name)}|{re.escape(f'${variable}')})")
    assert re.fullmatch(pattern, query, re.DOTALL)


@pytest.mark.parametrize(
    ("found", "of_all"),
    [([], NO_ANSWER), ([NONE, FLOWS], FLOWS), ([NONE, NO_ANSWER], NO_ANSWER), ([NONE], NONE), ([NO_QUERY], NO_QUERY)],
    ids=["nobody was asked", "one carries it", "the unknown one may", "none does", "nobody asks"],
)
def test_a_revision_carries_what_its_workloads_carry(found: list[Traffic], of_all: Traffic) -> None:
    assert together(found) == of_all
