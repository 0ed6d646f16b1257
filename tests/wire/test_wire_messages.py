"""Every message says the same after a trip through bytes."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from wire_peer import decode_all

from proxy import wire
from proxy.wire.messages_frontend import decode_startup

text = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=20)
word = text.filter(bool)
blob = st.binary(max_size=40)
value = st.none() | blob
values = st.lists(value, max_size=5).map(tuple)
oid = st.integers(0, 2**32 - 1)
int16 = st.integers(-(2**15), 2**15 - 1)
int32 = st.integers(-(2**31), 2**31 - 1)
formats = st.lists(st.sampled_from([0, 1]), max_size=4).map(tuple)
number = st.none() | st.integers(0, 2**40)
optional = st.none() | text
target = st.sampled_from(["S", "P"])

STARTUP = [
    st.just(wire.SSLRequest()),
    st.just(wire.GSSENCRequest()),
    st.builds(wire.CancelRequest, oid, st.binary(min_size=4, max_size=256)),
    st.builds(
        wire.StartupMessage, st.dictionaries(word, text, max_size=5), st.sampled_from([3 << 16, 3 << 16 | 2])
    ),
]
same_formats = st.integers(0, 4).flatmap(
    lambda n: st.tuples(
        st.lists(value, min_size=n, max_size=n).map(tuple),
        st.just(()) | st.just((1,)) | st.lists(st.sampled_from([0, 1]), min_size=n, max_size=n).map(tuple),
    )
)
FRONTEND = [
    st.builds(wire.PasswordMessage, text),
    st.builds(wire.SASLInitialResponse, text, value),
    st.builds(wire.SASLResponse, blob),
    st.builds(wire.Query, text),
    st.builds(wire.Parse, text, text, st.lists(oid, max_size=5).map(tuple)),
    st.builds(
        lambda portal, statement, pair, results: wire.Bind(portal, statement, *pair, results),
        text,
        text,
        same_formats,
        formats,
    ),
    st.builds(wire.Describe, target, text),
    st.builds(wire.Close, target, text),
    st.builds(wire.Execute, text, int32),
    st.builds(wire.FunctionCall, oid, values, formats, st.sampled_from([0, 1])),
    st.builds(wire.CopyFail, text),
    st.builds(wire.CopyData, blob),
    *map(st.just, [wire.CopyDone(), wire.Flush(), wire.Sync(), wire.Terminate()]),
]
report = (
    st.sampled_from(["ERROR", "FATAL", "NOTICE"]),
    st.just("42601"),
    *(text, optional, optional, number, number, optional, optional, optional, optional),
    *(optional, optional, optional, optional, number, optional),
)
field = st.builds(wire.Field, text, oid, int16, int32, st.sampled_from([0, 1]), oid, int16)
BACKEND = [
    *map(st.just, [wire.AuthenticationOk(), wire.AuthenticationCleartextPassword()]),
    st.builds(wire.AuthenticationMD5Password, st.binary(min_size=4, max_size=4)),
    st.builds(wire.AuthenticationSASL, st.lists(word, max_size=3).map(tuple)),
    st.builds(wire.AuthenticationSASLContinue, blob),
    st.builds(wire.AuthenticationSASLFinal, blob),
    st.builds(wire.NegotiateProtocolVersion, int32, st.lists(text, max_size=3).map(tuple)),
    st.builds(wire.BackendKeyData, oid, blob),
    st.builds(wire.ParameterStatus, text, text),
    st.builds(wire.ReadyForQuery, st.sampled_from(["I", "T", "E"])),
    st.builds(wire.RowDescription, st.lists(field, max_size=4).map(tuple)),
    st.builds(wire.DataRow, values),
    st.builds(wire.ParameterDescription, st.lists(oid, max_size=5).map(tuple)),
    st.builds(wire.CommandComplete, text),
    *map(st.just, [wire.EmptyQueryResponse(), wire.ParseComplete(), wire.BindComplete()]),
    *map(st.just, [wire.CloseComplete(), wire.NoData(), wire.PortalSuspended()]),
    st.builds(wire.NotificationResponse, oid, text, text),
    st.builds(wire.CopyInResponse, st.sampled_from([0, 1]), formats),
    st.builds(wire.CopyOutResponse, st.sampled_from([0, 1]), formats),
    st.builds(wire.CopyBothResponse, st.sampled_from([0, 1]), formats),
    st.builds(wire.ErrorResponse, *report),
    st.builds(wire.NoticeResponse, *report),
]


@given(st.one_of(STARTUP))
def test_startup_packets_survive(message):
    data = message.encode()
    assert int.from_bytes(data[:4], "big") == len(data)
    assert decode_startup(data[4:]) == message


@given(st.one_of(FRONTEND))
def test_frontend_messages_survive(message):
    data = message.encode()
    assert data[:1] == message.code
    assert int.from_bytes(data[1:5], "big") == len(data) - 1
    assert type(message).decode(data[5:]) == message


@given(st.lists(st.one_of(BACKEND), max_size=3))
def test_backend_messages_survive(messages):
    assert decode_all(b"".join(message.encode() for message in messages)) == messages


@given(st.one_of(FRONTEND), st.data())
def test_a_shortened_or_padded_body_is_an_error_or_another_message_never_a_crash(message, data):
    body = message.encode()[5:]
    changed = body + b"\0x" if data.draw(st.booleans()) else body[: data.draw(st.integers(0, len(body)))]
    try:
        type(message).decode(changed)
    except wire.RemoteProtocolError as error:
        assert error.sqlstate in ("08P01", "22021", "22023")
        assert not error.fatal


@pytest.mark.parametrize(
    "message",
    [wire.ParameterStatus("a\0b", "c"), wire.CommandComplete("\ud800"), wire.DataRow((None,) * 70000)],
)
def test_what_cannot_be_written_is_our_error(message):
    with pytest.raises(wire.LocalProtocolError):
        message.encode()


def test_an_error_with_any_text_can_be_written():
    (message,) = decode_all(wire.ErrorResponse("ERROR", "XX000", "bad\0 \ud800").encode())
    assert message.message == "bad\\0 \\ud800"


def test_bytes_of_an_error_are_those_of_postgres():
    error = wire.ErrorResponse("ERROR", "42P01", "no x", position=15)
    assert error.encode() == b"E\0\0\0\x24SERROR\0VERROR\0C42P01\0Mno x\0P15\0\0"


def test_a_string_that_is_not_utf8_names_the_bytes():
    with pytest.raises(wire.RemoteProtocolError, match='"UTF8": 0xff') as caught:
        wire.Query.decode(b"a\xff\0")
    assert caught.value.sqlstate == "22021"


@pytest.mark.parametrize(
    ("version", "options", "expected"),
    [
        (3 << 16, {}, None),
        (3 << 16 | 2, {}, None),
        (3 << 16 | 9999, {}, wire.NegotiateProtocolVersion(3 << 16 | 2)),
        (3 << 16, {"_pq_.x": "1"}, wire.NegotiateProtocolVersion(3 << 16, ("_pq_.x",))),
        (3 << 16 | 3, {"_pq_.x": "1"}, wire.NegotiateProtocolVersion(3 << 16 | 2, ("_pq_.x",))),
    ],
)
def test_negotiation(version, options, expected):
    assert wire.StartupMessage({"user": "a", **options}, version).negotiation() == expected
