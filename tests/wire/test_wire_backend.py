"""The state machine: order, pipelining, recovery, limits, and garbage."""

from __future__ import annotations

import itertools
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_wire_messages import FRONTEND
from wire_peer import authenticated, decode_all, events

from proxy import wire

BATCH = [
    wire.Parse("", "select $1", (23,)),
    wire.Bind("", "", (b"\0\0\0\1",), (1,), (0,)),
    wire.Describe("P"),
    wire.Execute("", 10),
    wire.Sync(),
]
SESSION = [wire.Query("select 1"), *BATCH, wire.Flush(), *BATCH, wire.CopyFail("late"), wire.Terminate()]


def encoded(messages):
    return b"".join(message.encode() for message in messages)


def fed(server, chunks):
    found = []
    for chunk in chunks:
        if chunk:
            server.receive(chunk)
        found += events(server)
    return found


def split(data, cuts):
    marks = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[a:b] for a, b in itertools.pairwise(marks)]


@given(st.lists(st.integers(0, 2**16), max_size=12))
def test_any_split_gives_the_same_events(cuts):
    whole = fed(authenticated(), [encoded(SESSION)])
    assert whole == [message for message in SESSION if not isinstance(message, wire.CopyFail)]
    assert fed(authenticated(), split(encoded(SESSION), cuts)) == whole


@given(st.lists(st.one_of(FRONTEND), max_size=6), st.binary(max_size=12), st.lists(st.integers(0, 2**12)))
def test_any_split_of_any_messages_and_garbage_gives_the_same_events(messages, garbage, cuts):
    data = encoded(messages) + garbage
    assert fed(authenticated(), split(data, cuts)) == fed(authenticated(), [data])


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_random_bytes_to_begin_with_raise_nothing_but_protocol_errors(chunks):
    server = wire.Backend()
    fed(server, chunks)


@given(st.lists(st.binary(max_size=60), max_size=5))
def test_random_bytes_after_login_raise_nothing_but_protocol_errors(chunks):
    fed(authenticated(), chunks)


def test_one_byte_at_a_time():
    data = encoded(SESSION)
    assert fed(authenticated(), [data[i : i + 1] for i in range(len(data))]) == fed(authenticated(), [data])


def test_a_simple_query_holds_back_what_follows_until_ready():
    server = authenticated()
    server.receive(encoded([wire.Query("a"), wire.Query("b")]))
    assert server.next_event() == wire.Query("a")
    assert server.next_event() is wire.PAUSED
    server.send(wire.CommandComplete("SELECT 0"))
    server.send(wire.ReadyForQuery())
    assert server.next_event() == wire.Query("b")


def test_pause_holds_back_and_resume_lets_go():
    server = authenticated()
    server.receive(encoded(BATCH))
    assert server.next_event() == BATCH[0]
    server.pause()
    assert server.next_event() is wire.PAUSED
    server.resume()
    assert server.next_event() == BATCH[1]


def test_an_error_skips_to_sync():
    server = authenticated()
    server.receive(encoded([*BATCH, wire.Query("after")]))
    assert server.next_event() == BATCH[0]
    server.send(wire.ErrorResponse("ERROR", "42601", "no"))
    assert server.next_event() == wire.Sync()
    assert server.next_event() is wire.PAUSED
    server.send(wire.ReadyForQuery("E"))
    assert server.next_event() == wire.Query("after")


def test_failed_and_the_error_message_are_one_failure():
    server = authenticated()
    server.receive(encoded(BATCH))
    server.next_event()
    server.failed()
    server.send(wire.ErrorResponse("ERROR", "42601", "no"))
    assert server.state is wire.State.SKIP


def test_an_error_at_sync_still_owes_ready():
    server = authenticated()
    server.receive(wire.Sync().encode())
    server.next_event()
    server.send(wire.ErrorResponse("ERROR", "40001", "commit failed"))
    assert server.owes_ready


def test_bad_content_fails_the_message_and_not_the_connection():
    server = authenticated()
    bad = b"Q" + struct.pack("!I", 6) + b"\xff\0"
    server.receive(bad + wire.Query("ok").encode())
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert (caught.value.sqlstate, caught.value.fatal) == ("22021", False)
    assert server.owes_ready
    server.send(wire.ErrorResponse("ERROR", "22021", "bad"))
    server.send(wire.ReadyForQuery())
    assert server.next_event() == wire.Query("ok")


def test_bad_content_in_the_extended_protocol_skips_to_sync():
    server = authenticated()
    server.receive(b"P" + struct.pack("!I", 5) + b"x" + encoded(BATCH[1:]))
    with pytest.raises(wire.RemoteProtocolError):
        server.next_event()
    assert server.next_event() == wire.Sync()


@pytest.mark.parametrize("length", [0, 3, 4, 7, 10_001, 2**31 - 1, 2**31, 2**32 - 1])
def test_startup_length(length):
    server = wire.Backend()
    server.receive(struct.pack("!I", length) + b"\0" * 8)
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert caught.value.sqlstate == "08P01"
    assert server.next_event() is wire.CONNECTION_CLOSED
    assert server.buffered == 0


@pytest.mark.parametrize(
    ("length", "sqlstate"),
    [(0, "08P01"), (3, "08P01"), (2**16, "54000"), (2**31, "54000"), (2**32 - 1, "54000")],
)
def test_message_length_is_refused_from_the_header_alone(length, sqlstate):
    server = authenticated(max_message=2**15)
    server.receive(b"Q" + struct.pack("!I", length))
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert (caught.value.sqlstate, caught.value.fatal) == (sqlstate, True)
    assert server.state is wire.State.CLOSED


@pytest.mark.parametrize("code", [b"S", b"H", b"X", b"E", b"D", b"C"])
def test_small_messages_have_a_small_limit(code):
    server = authenticated()
    server.receive(code + struct.pack("!I", 10_005))
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert caught.value.sqlstate == "08P01"


def logging_in(request):
    server = wire.Backend()
    server.receive(wire.StartupMessage({"user": "alice"}).encode())
    server.next_event()
    server.send(request)
    return server


@pytest.mark.parametrize(
    ("request_", "answer"),
    [
        (wire.AuthenticationCleartextPassword(), wire.PasswordMessage("x")),
        (wire.AuthenticationMD5Password(b"salt"), wire.PasswordMessage("md5")),
        (wire.AuthenticationSASL(("SCRAM-SHA-256",)), wire.SASLInitialResponse("SCRAM-SHA-256", b"n,,")),
        (wire.AuthenticationSASLContinue(b"r="), wire.SASLResponse(b"c=")),
    ],
)
def test_the_request_decides_how_the_answer_is_read(request_, answer):
    server = logging_in(request_)
    server.receive(answer.encode())
    assert server.next_event() == answer
    assert server.next_event() is wire.PAUSED


@pytest.mark.parametrize(
    "data",
    [
        wire.StartupMessage({"user": "root"}).encode(),
        wire.SSLRequest().encode(),
        wire.Query("select 1").encode(),
        b"p" + struct.pack("!I", 65_540),
        b"p" + struct.pack("!I", 2**31),
    ],
)
def test_nothing_but_a_small_answer_is_taken_before_login(data):
    server = logging_in(wire.AuthenticationSASL(("SCRAM-SHA-256",)))
    server.receive(data)
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert (caught.value.sqlstate, caught.value.fatal) == ("08P01", True)
    assert server.startup == wire.StartupMessage({"user": "alice"})


def test_a_second_startup_after_login_is_refused():
    server = authenticated()
    server.receive(wire.StartupMessage({"user": "root"}).encode())
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.next_event()
    assert caught.value.sqlstate == "08P01"


@pytest.mark.parametrize("request_", [wire.SSLRequest(), wire.GSSENCRequest()])
@pytest.mark.parametrize("together", [True, False])
def test_plaintext_behind_an_encryption_request_closes(request_, together):
    server = wire.Backend()
    injected = wire.StartupMessage({"user": "mallory"}).encode()
    server.receive(request_.encode() + (injected if together else b""))
    assert server.next_event() == request_
    if not together:
        assert server.next_event() is wire.PAUSED
        server.receive(injected)
    with pytest.raises(wire.RemoteProtocolError) as caught:
        server.send(wire.EncryptionResponse("S"))
    assert caught.value.fatal
    assert server.next_event() is wire.CONNECTION_CLOSED


def test_encryption_then_startup():
    server = wire.Backend()
    for request in (wire.GSSENCRequest(), wire.SSLRequest()):
        server.receive(request.encode())
        assert server.next_event() == request
        assert server.send(wire.EncryptionResponse("N")) == b"N"
    server.receive(wire.StartupMessage({"user": "a"}).encode())
    assert isinstance(server.next_event(), wire.StartupMessage)
    assert not server.encrypted


def test_encryption_is_asked_for_once():
    server = wire.Backend()
    server.receive(wire.SSLRequest().encode())
    server.next_event()
    server.send(wire.EncryptionResponse("S"))
    assert server.encrypted
    server.receive(wire.SSLRequest().encode())
    with pytest.raises(wire.RemoteProtocolError):
        server.next_event()


@pytest.mark.parametrize("key", [b"1234", b"k" * 32])
def test_a_cancel_request_is_all_its_connection_says(key):
    server = wire.Backend()
    server.receive(wire.CancelRequest(7, key).encode())
    assert server.next_event() == wire.CancelRequest(7, key)
    assert server.next_event() is wire.CONNECTION_CLOSED


@pytest.mark.parametrize("version", [2 << 16, 4 << 16, 1234 << 16 | 1])
def test_another_major_version_is_refused(version):
    server = wire.Backend()
    server.receive(wire.StartupMessage({"user": "a"}, version).encode())
    with pytest.raises(wire.RemoteProtocolError, match="unsupported frontend protocol") as caught:
        server.next_event()
    assert caught.value.fatal


def test_copy_in_takes_rows_and_ignores_sync():
    server = authenticated()
    server.receive(encoded([wire.Query("copy t from stdin"), wire.CopyData(b"1\n"), wire.Sync()]))
    server.next_event()
    server.send(wire.CopyInResponse(0, (0,)))
    assert server.next_event() == wire.CopyData(b"1\n")
    assert server.next_event() is wire.NEED_DATA
    server.receive(wire.CopyDone().encode())
    assert server.next_event() == wire.CopyDone()
    assert server.owes_ready


def test_rows_sent_after_a_failed_copy_are_dropped():
    server = authenticated()
    server.receive(encoded([wire.Query("copy"), wire.CopyData(b"x")]))
    server.next_event()
    server.send(wire.CopyInResponse(0, ()))
    server.next_event()
    server.send(wire.ErrorResponse("ERROR", "22P04", "bad row"))
    server.send(wire.ReadyForQuery())
    server.receive(encoded([wire.CopyData(b"y"), wire.CopyDone(), wire.Query("next")]))
    assert server.next_event() == wire.Query("next")


def test_copy_out_of_a_portal():
    server = authenticated()
    server.receive(wire.Execute().encode())
    server.next_event()
    server.send(wire.CopyOutResponse(0, (0,)))
    assert decode_all(server.send(wire.CopyData(b"1\n"))) == [wire.CopyData(b"1\n")]
    server.send(wire.CopyDone())
    assert server.state is wire.State.EXTENDED


@pytest.mark.parametrize("message", [wire.DataRow(()), wire.ReadyForQuery(), wire.AuthenticationOk()])
def test_sending_out_of_turn_is_our_error(message):
    with pytest.raises(wire.LocalProtocolError):
        authenticated().send(message)


def test_a_fatal_error_closes():
    server = authenticated()
    server.receive(wire.Query("x").encode())
    server.send(wire.ErrorResponse("FATAL", "57P01", "shutting down"))
    assert server.next_event() is wire.CONNECTION_CLOSED


def test_end_of_input_closes_after_the_last_whole_message():
    server = authenticated()
    server.receive(wire.Query("x").encode() + b"Q\0")
    server.receive(b"")
    assert server.next_event() == wire.Query("x")
    server.send(wire.ReadyForQuery())
    assert server.next_event() is wire.CONNECTION_CLOSED


def test_notices_may_be_sent_at_any_time():
    server = authenticated()
    server.send(wire.NoticeResponse("NOTICE", "00000", "hello"))
    server.send(wire.ParameterStatus("TimeZone", "UTC"))
    assert server.state is wire.State.IDLE


def test_every_state_is_in_both_tables():
    from proxy.wire.states import AFTER_ERROR, CLIENT, SERVER

    assert set(CLIENT) == set(SERVER) == set(AFTER_ERROR) == set(wire.State)
