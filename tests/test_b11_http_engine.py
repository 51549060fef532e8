"""What the HTTP engine promises to handlers and clients: routes, bodies, ranges, streams, events, WebSocket,
TLS, slow peers, drain. Black box, through http-test-server."""
import hashlib
import json
import os
import re
import signal
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests
import websocket

from http_engine import Answers, Engine, wait_for

FILE_BYTES = 3 * 1024 * 1024 + 17


@pytest.fixture(scope='module')
def big_file(tmp_path_factory):
    path = tmp_path_factory.mktemp('file') / 'data'
    path.write_bytes(os.urandom(FILE_BYTES))
    return path


@pytest.fixture(scope='module')
def engine(big_file):
    with Engine('--file', big_file) as e:
        yield e


@pytest.fixture(scope='module')
def certificate(tmp_path_factory):
    folder = tmp_path_factory.mktemp('tls')
    cert, key = folder / 'cert.pem', folder / 'key.pem'
    subprocess.run(['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes',
                    '-keyout', key, '-out', cert, '-days', '2', '-subj', '/CN=localhost',
                    '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1'], check=True, capture_output=True)
    return cert, key


@pytest.fixture(scope='module')
def tls_engine(big_file, certificate):
    with Engine('--file', big_file, '--cert', certificate[0], '--key', certificate[1]) as e:
        yield e


def get(engine, path, **kwargs):
    return requests.get(engine.url + path, timeout=20, **kwargs)


def raw(engine, data):
    """The answers to these bytes; the connection stays open for writing until they are there."""
    s = engine.connect()
    s.sendall(data)
    return s, Answers(s)


def head(method, path, *lines):
    return '\r\n'.join([f'{method} {path} HTTP/1.1', 'Host: t', *lines, '', '']).encode()


def stat(engine, name):
    for line in get(engine, '/stats').text.splitlines():
        if line.startswith(name + ' '):
            return int(line.split()[1])
    raise KeyError(name)


# --- routes ---

@pytest.mark.parametrize('path,params', [
    ('/inspect/a%20b', {'one': 'a b'}),
    ('/inspect/%E2%82%AC', {'one': '€'}),
    ('/v2/library/strata-ml/manifests/latest', {'repo': 'library/strata-ml', 'ref': 'latest'}),
    ('/v2/a/manifests/b/manifests/c', {'repo': 'a/manifests/b', 'ref': 'c'}),
    ('/raw/a//b/../c/', {'path': 'a//b/../c/'}),
    ('/raw/a%2Fb', {'path': 'a/b'}),
    ('/trailing/', {}),
])
def test_path_parameters(engine, path, params):
    with engine.connect() as s:
        s.sendall(head('GET', path))
        status, _, body = Answers(s).next()
    assert status == 200
    assert json.loads(body)['params'] == params


@pytest.mark.parametrize('path,status', [
    ('/inspect/a%2Fb', 400), ('/inspect/..', 400), ('/inspect/%2e', 400), ('//inspect', 400), ('/inspect//a', 400),
    ('/inspect/a%00', 400), ('/raw/a%00', 400), ('/inspect/', 404), ('/trailing', 404), ('/v2/manifests/x', 404),
    ('/nothing', 404), ('/inspect/a/b', 404), ('/INSPECT', 404),
])
def test_paths_that_lead_nowhere(engine, path, status):
    with engine.connect() as s:
        s.sendall(head('GET', path))
        assert Answers(s).next()[0] == status


def test_queries_are_decoded_in_order(engine):
    r = get(engine, '/inspect?b=1&a=x%20y+z&flag&a=%26')
    assert r.json()['query'] == ['b', '1', 'a', 'x y z', 'flag', '', 'a', '&']


def test_wrong_method_says_which_are_allowed(engine):
    r = requests.delete(engine.url + '/ignore', timeout=20)
    assert r.status_code == 405
    assert set(r.headers['Allow'].split(', ')) == {'GET', 'HEAD', 'POST', 'OPTIONS'}
    r = requests.options(engine.url + '/echo', timeout=20)
    assert (r.status_code, r.headers['Allow']) == (204, 'POST, OPTIONS')
    with engine.connect() as s:
        s.sendall(head('OPTIONS', '*'))
        assert Answers(s).next()[0] == 204


def test_head_is_get_without_the_body(engine):
    r = requests.head(engine.url + '/file', timeout=20)
    assert r.status_code == 200 and int(r.headers['Content-Length']) == FILE_BYTES
    with engine.connect() as s:
        s.sendall(head('HEAD', '/hello') + head('HEAD', '/ticks') + head('HEAD', '/nothing') + head('GET', '/hello'))
        a = Answers(s)
        assert [a.next(head_only=True)[0] for _ in range(3)] == [200, 200, 404]
        assert a.next()[2] == b'{"hello":"world"}\n'


def test_every_answer_has_its_headers(engine):
    ids = set()
    for path in ('/hello', '/nothing', '/fail', '/file', '/ticks'):
        r = get(engine, path)
        ids.add(r.headers['X-Request-Id'])
        assert r.headers['Server'] == 'strata' and r.headers['Date'].endswith(' GMT')
        assert r.headers['X-Content-Type-Options'] == 'nosniff' and r.headers['X-Frame-Options'] == 'DENY'
        assert 'Referrer-Policy' in r.headers and "frame-ancestors 'none'" in r.headers['Content-Security-Policy']
    assert len(ids) == 5


# --- who may ---

def test_the_permission_column_decides(engine):
    alice, root = {'Authorization': 'Bearer alice'}, {'Authorization': 'Bearer root'}
    assert get(engine, '/projects/p').status_code == 401
    assert get(engine, '/projects/p').headers['WWW-Authenticate'] == 'Bearer realm="strata"'
    assert get(engine, '/projects/p', headers=alice).json()['project'] == 'p'
    assert get(engine, '/projects/hidden', headers=alice).status_code == 404
    assert get(engine, '/admin', headers=alice).status_code == 403
    assert get(engine, '/admin', headers=root).status_code == 200
    assert get(engine, '/hello', headers={'Authorization': 'Bearer nonsense'}).status_code == 401
    assert get(engine, '/inspect', headers=alice).json()['who'] == 'alice'
    assert get(engine, '/inspect').json()['who'] == 'anonymous'


def test_changes_are_audited_before_their_answer(engine):
    before = stat(engine, 'audited')
    requests.post(engine.url + '/echo', data=b'x', timeout=20)
    requests.post(engine.url + '/projects/p', timeout=20)  # 401: also a try
    requests.put(engine.url + '/count', data=b'x', timeout=20)  # ROUTE_NO_AUDIT
    get(engine, '/hello')
    assert stat(engine, 'audited') == before + 2


def test_inner_reasons_stay_inside(engine):
    r = get(engine, '/fail')
    assert r.status_code == 500 and 'secret' not in r.text
    assert r.json()['error']['request_id'] == r.headers['X-Request-Id']
    r = get(engine, '/fail?kind=5')
    assert (r.status_code, r.json()['error']['kind'], r.json()['error']['message']) == (
        409, 'conflict', 'secret inner reason')


def test_a_failure_in_the_middle_cuts_the_connection(engine):
    with engine.connect() as s:
        s.sendall(head('GET', '/broken') + head('GET', '/hello'))
        with pytest.raises(EOFError):
            Answers(s).next()


def test_proxies_are_believed_only_when_trusted():
    sent = {'X-Forwarded-For': '6.6.6.6, 9.9.9.9, 10.0.0.1', 'X-Forwarded-Proto': 'https',
            'X-Forwarded-Host': 'public.example'}
    with Engine('--proxies', '127.0.0.0/8, 10.0.0.0/8') as e:
        seen = get(e, '/inspect', headers=sent).json()
        assert (seen['peer'], seen['scheme'], seen['host']) == ('9.9.9.9', 'https', 'public.example')
    with Engine('--proxies', '192.168.0.0/16,::1') as e:
        seen = get(e, '/inspect', headers=sent).json()
        assert (seen['peer'], seen['scheme']) == ('127.0.0.1', 'http')


# --- bodies ---

def test_bodies_come_back_whole(engine):
    for size in (0, 1, 4095, 65536, 1000000):
        data = os.urandom(size)
        assert requests.post(engine.url + '/echo', data=data, timeout=20).content == data

        def pieces():
            for i in range(0, len(data), 7777):
                yield data[i:i + 7777]
        assert requests.post(engine.url + '/echo', data=pieces(), timeout=20).content == data


def test_too_large_a_body_is_refused_without_reading_it(engine):
    s, answers = raw(engine, head('POST', '/echo', 'Content-Length: 99999999999', 'Expect: 100-continue'))
    status, headers, body = answers.next()  # no 100 first, or next() would have waited for more
    assert status == 413 and headers['connection'] == 'close' and b'1.0 MiB' in body
    assert answers.next() is None
    s.close()
    too_much = b'x' * (1024 * 1024 + 1)
    assert requests.post(engine.url + '/echo', data=iter([too_much]), timeout=20).status_code == 413


def test_continue_is_sent_when_the_handler_reads(engine):
    with engine.connect() as s:
        s.sendall(head('POST', '/echo', 'Content-Length: 5', 'Expect: 100-continue'))
        got = b''
        while not got.endswith(b'\r\n\r\n'):
            got += s.recv(1000)
        assert got == b'HTTP/1.1 100 Continue\r\n\r\n'
        s.sendall(b'hello' + head('GET', '/hello'))
        a = Answers(s)
        assert a.next()[2] == b'hello' and a.next()[0] == 200


def test_an_unread_body_does_not_become_the_next_request(engine):
    inner = head('GET', '/admin')
    with engine.connect() as s:
        s.sendall(head('POST', '/ignore', f'Content-Length: {len(inner)}') + inner + head('GET', '/hello'))
        a = Answers(s)
        assert [a.next()[0], a.next()[0]] == [200, 200]
    s, a = raw(engine, head('POST', '/ignore', 'Content-Length: 10000000') + b'x' * 1000)
    assert a.next()[1]['connection'] == 'close' and a.next() is None
    s.close()


def test_an_early_answer_reaches_a_client_that_still_sends(engine):
    r = subprocess.run(['curl', '-s', '-o', '/dev/null', '-w', '%{http_code}', '-H', 'Expect:', '-X', 'POST',
                        '--data-binary', '@-', engine.url + '/ignore'], input=b'x' * 3000000, capture_output=True)
    assert r.stdout == b'200', r.stderr


def test_a_cut_body_is_an_error_not_a_short_body(engine):
    for lines, data in ((['Content-Length: 10'], b'hello'), (['Transfer-Encoding: chunked'], b'5\r\nhel')):
        with engine.connect() as s:
            s.sendall(head('PUT', '/count', *lines) + data)
            s.shutdown(socket.SHUT_WR)
            assert Answers(s).next()[0] == 400


def test_a_big_upload_needs_no_memory(engine):
    size = 256 * 1024 * 1024
    before = engine.peak_bytes()
    piece = b'x' * (1024 * 1024)
    r = requests.put(engine.url + '/count', data=(piece for _ in range(size // len(piece))), timeout=120)
    assert int(r.text) == size
    r = subprocess.run(['curl', '-s', '-T', '-', '-H', 'Content-Length: 67108864', '-H', 'Transfer-Encoding:',
                        engine.url + '/count'], input=b'y' * 67108864, capture_output=True)
    assert r.stdout == b'67108864\n'
    assert engine.peak_bytes() - before < 2 * 1024 * 1024


def test_pipelined_requests_are_answered_in_order(engine):
    with engine.connect() as s:
        s.sendall(b''.join(head('GET', f'/inspect/{i}') for i in range(300)))
        a = Answers(s)
        assert [json.loads(a.next()[2])['params']['one'] for _ in range(300)] == [str(i) for i in range(300)]


def test_http_1_0_clients(engine):
    with engine.connect() as s:
        s.sendall(b'GET /stream?lines=2 HTTP/1.0\r\n\r\n')
        status, headers, body = Answers(s).next()
    assert (status, body) == (200, b'line 0\nline 1\n')
    assert 'transfer-encoding' not in headers and headers['connection'] == 'close'


# --- files ---

@pytest.mark.parametrize('value,expected', [
    ('bytes=0-0', (0, 1)), ('bytes=5-9', (5, 5)), ('bytes=100-', (100, FILE_BYTES - 100)),
    ('bytes=-7', (FILE_BYTES - 7, 7)), ('bytes=-99999999999', (0, FILE_BYTES)),
    (f'bytes={FILE_BYTES - 1}-99999999999999', (FILE_BYTES - 1, 1)), ('BYTES=1-2', (1, 2)),
    (f'bytes={FILE_BYTES}-', None), ('bytes=-0', None), ('bytes=99999999999-', None),
    ('bytes=5-2', 'all'), ('bytes=a-b', 'all'), ('bytes=0-1,5-6', 'all'), ('lines=1-2', 'all'), ('bytes=-', 'all'),
])
def test_ranges(engine, big_file, value, expected):
    data = big_file.read_bytes()
    r = get(engine, '/file', headers={'Range': value})
    if expected is None:
        assert r.status_code == 416 and r.headers['Content-Range'] == f'bytes */{FILE_BYTES}'
    elif expected == 'all':
        assert r.status_code == 200 and r.content == data
    else:
        first, size = expected
        assert r.status_code == 206 and r.content == data[first:first + size]
        assert r.headers['Content-Range'] == f'bytes {first}-{first + size - 1}/{FILE_BYTES}'


@pytest.mark.parametrize('headers,status', [
    ({'If-None-Match': '"demo-1"'}, 304), ({'If-None-Match': '"x", W/"demo-1"'}, 304), ({'If-None-Match': '*'}, 304),
    ({'If-None-Match': '"x"'}, 200), ({'If-Modified-Since': 'Tue, 14 Nov 2023 22:13:20 GMT'}, 304),
    ({'If-Modified-Since': 'Tue, 14 Nov 2023 22:13:19 GMT'}, 200), ({'If-Modified-Since': 'nonsense'}, 200),
    ({'If-None-Match': '"x"', 'If-Modified-Since': 'Tue, 14 Nov 2023 22:13:20 GMT'}, 200),
    ({'If-Range': '"demo-1"', 'Range': 'bytes=0-1'}, 206), ({'If-Range': '"old"', 'Range': 'bytes=0-1'}, 200),
    ({'If-Range': 'W/"demo-1"', 'Range': 'bytes=0-1'}, 200),
    ({'If-Range': 'Tue, 14 Nov 2023 22:13:20 GMT', 'Range': 'bytes=0-1'}, 206),
])
def test_conditions(engine, headers, status):
    assert get(engine, '/file', headers=headers).status_code == status


def test_ranges_past_4_gib(tmp_path):
    path = tmp_path / 'sparse'
    with open(path, 'wb') as f:
        f.seek(5 * 1024 ** 3)
        f.write(b'end')
    with Engine('--file', path) as e:
        r = get(e, '/file', headers={'Range': f'bytes={5 * 1024 ** 3}-'})
        assert (r.status_code, r.content) == (206, b'end')
        r = requests.head(e.url + '/file', timeout=20)
        assert int(r.headers['Content-Length']) == 5 * 1024 ** 3 + 3


# --- streams and events ---

def test_a_parked_stream_gives_its_connection_back(engine):
    before = stat(engine, 'closed_streams')
    with engine.connect() as s:
        s.sendall(head('GET', '/ticks?lines=2') + head('GET', '/hello'))
        a = Answers(s)
        assert a.next()[2] == b'tick 0\ntick 1\n' and a.next()[2] == b'{"hello":"world"}\n'
    assert stat(engine, 'closed_streams') == before + 1


def test_a_parked_stream_waits_for_its_reader(engine):
    with engine.connect() as s:
        s.sendall(head('GET', '/flood?lines=2000'))
        peak = engine.peak_bytes()
        body = Answers(s).next()[2]
        assert len(body) == 2000 * 32768 and not body.strip(b'\0')
        assert engine.peak_bytes() - peak < 2 * 1024 * 1024


def test_a_vanished_reader_is_noticed(engine):
    with Engine() as e:
        s, answers = raw(e, head('GET', '/events'))
        answers.fill()
        s.close()
        wait_for(lambda: 'connections 1 ' in get(e, '/stats').text, what='its connection is closed')


class Sse:
    def __init__(self, engine, *lines, query=''):
        self.sock, self.answers = raw(engine, head('GET', '/events' + query, *lines))
        assert self.line().startswith(b'HTTP/1.1 200')
        while self.line():
            pass
        self.text = b''

    def line(self):
        return self.answers.line()

    def block(self):
        """The fields up to the next empty line."""
        while b'\n\n' not in self.text:
            size = int(self.line(), 16)
            assert size > 0
            while len(self.answers.data) < size + 2:
                assert self.answers.fill()
            self.text += self.answers.data[:size]
            self.answers.data = self.answers.data[size + 2:]
        block, self.text = self.text.split(b'\n\n', 1)
        return dict(line.split(': ', 1) for line in block.decode().split('\n') if ': ' in line)

    def event(self):
        """The next event; comments and retry are skipped."""
        while True:
            fields = self.block()
            if 'event' in fields:
                return fields


def publish(engine, project, text):
    r = requests.post(f'{engine.url}/events/{project}', data=json.dumps(text), timeout=20)
    assert r.status_code == 204


def test_events_reach_those_who_may_see_them(engine):
    alice, root = Sse(engine), Sse(engine, 'Authorization: Bearer root')
    publish(engine, 'hidden', 'one')
    publish(engine, 'open', 'two')
    assert alice.event()['data'] == '"two"'
    assert [root.event()['data'], root.event()['data']] == ['"one"', '"two"']


def test_a_stream_ends_when_its_reader_is_signed_out(engine):
    alice, root = Sse(engine), Sse(engine, 'Authorization: Bearer root')
    publish(engine, 'open', 'one')
    publish(engine, 'nobody', 'two')
    publish(engine, 'open', 'three')
    assert alice.event()['data'] == '"one"'
    assert alice.line() == b'0', 'the stream ends as it should, with nothing more told'
    assert [root.event()['data'] for _ in range(3)] == ['"one"', '"two"', '"three"']


def test_events_resume_after_the_last_one_seen(engine):
    reader = Sse(engine)
    publish(engine, 'open', 'seen')
    last = reader.event()['id']
    reader.sock.close()
    publish(engine, 'open', 'meanwhile 1')
    publish(engine, 'open', 'meanwhile 2')
    reader = Sse(engine, f'Last-Event-ID: {last}')
    assert [reader.event()['data'], reader.event()['data']] == ['"meanwhile 1"', '"meanwhile 2"']
    for i in range(300):  # the ring of the test server holds 256
        publish(engine, 'open', i)
    assert Sse(engine, f'Last-Event-ID: {last}').event()['event'] == 'missed'
    assert Sse(engine, 'Last-Event-ID: other-5').event()['event'] == 'missed'


def test_who_comes_back_before_the_first_event_resumes(engine):
    reader = Sse(engine)
    last = reader.block()['id']
    reader.sock.close()
    publish(engine, 'open', 'meanwhile')
    assert Sse(engine, f'Last-Event-ID: {last}').event()['data'] == '"meanwhile"'


def test_a_stream_begins_with_what_was_told_lately(engine):
    time.sleep(1.5)  # what other tests told is old
    publish(engine, 'hidden', 'not for all')
    publish(engine, 'open', 'lately')
    reader = Sse(engine, query='?replay_ms=1000')
    publish(engine, 'open', 'now')
    assert [reader.event()['data'], reader.event()['data']] == ['"lately"', '"now"']
    plain = Sse(engine)
    publish(engine, 'open', 'later')
    assert plain.event()['data'] == '"later"'
    assert Sse(engine, query='?replay_ms=86400000').event()['event'] == 'missed', 'the server began later than that'
    for i in range(300):  # the ring of the test server holds 256
        publish(engine, 'open', i)
    assert Sse(engine, query='?replay_ms=60000').event()['event'] == 'missed'
    for wrong in ('-1', 'x', '86400001'):
        assert requests.get(f'{engine.url}/events?replay_ms={wrong}', timeout=20).status_code == 400


# --- WebSocket ---

def ws_url(engine):
    return engine.url.replace('http', 'ws', 1) + '/ws'


@pytest.fixture(params=['plain', 'tls'])
def ws(request, engine, tls_engine, certificate):
    e = engine if request.param == 'plain' else tls_engine
    options = {'ca_certs': str(certificate[0])} if request.param == 'tls' else None
    ws = websocket.create_connection(ws_url(e), timeout=20, sslopt=options, subprotocols=['echo'])
    yield ws
    ws.close()


def test_websocket_messages_come_back(ws):
    assert ws.getsubprotocol() == 'echo'
    for size in (0, 1, 125, 126, 65535, 65536, 1024 * 1024):
        data = os.urandom(size)
        ws.send_binary(data)
        assert ws.recv() == data
    ws.send('grüße')
    assert ws.recv() == 'grüße'
    ws.ping('are you there')
    assert ws.recv_data(control_frame=True) == (websocket.ABNF.OPCODE_PONG, b'are you there')
    for i in range(500):
        ws.send(str(i))
    assert [ws.recv() for _ in range(500)] == [str(i) for i in range(500)]


def test_websocket_closes_politely(ws):
    ws.send('close')
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, b'\x03\xe8')


def test_websocket_refuses_what_is_too_large_or_malformed(engine):
    ws = websocket.create_connection(ws_url(engine), timeout=20)
    ws.send_binary(b'x' * (1024 * 1024 + 1))
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, b'\x03\xf1')  # 1009
    ws = websocket.create_connection(ws_url(engine), timeout=20)
    ws.sock.sendall(b'\x81\x02hi')  # not masked
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, b'\x03\xea')  # 1002


def test_websocket_of_another_site_is_refused(engine):
    with pytest.raises(websocket.WebSocketBadStatusException) as refused:
        websocket.create_connection(ws_url(engine), timeout=20, origin='http://evil.example')
    assert refused.value.status_code == 403
    websocket.create_connection(ws_url(engine), timeout=20, origin=engine.url).close()
    assert get(engine, '/ws').status_code == 400


# --- TLS ---

def test_curl_speaks_tls(tls_engine, certificate, big_file):
    def curl(*args):
        return subprocess.run(['curl', '-sS', '--cacert', certificate[0], *args], capture_output=True)
    r = curl(tls_engine.url + '/file')
    assert hashlib.sha256(r.stdout).digest() == hashlib.sha256(big_file.read_bytes()).digest(), r.stderr
    r = curl('-T', big_file, tls_engine.url + '/count')
    assert r.stdout.strip() == str(FILE_BYTES).encode(), r.stderr
    r = curl(tls_engine.url + '/inspect', tls_engine.url + '/hello', tls_engine.url + '/flood?lines=100')
    assert b'"scheme":"https"' in r.stdout and len(r.stdout) > 3200000
    assert curl('--tls-max', '1.1', tls_engine.url + '/hello').returncode != 0


def test_tls_connections_are_kept_and_pipelined(tls_engine, certificate):
    context = ssl.create_default_context(cafile=certificate[0])
    context.set_alpn_protocols(['h2', 'http/1.1'])
    with context.wrap_socket(tls_engine.connect(), server_hostname='localhost') as s:
        assert s.selected_alpn_protocol() == 'http/1.1' and s.version() in ('TLSv1.2', 'TLSv1.3')
        a = Answers(s)
        for _ in range(3):
            s.sendall(b''.join(head('GET', f'/inspect/{i}') for i in range(200)))  # more than one record
            assert [a.next()[0] for _ in range(200)] == [200] * 200
        s.sendall(head('GET', '/ticks?lines=2') + head('GET', '/hello'))
        assert a.next()[2] == b'tick 0\ntick 1\n' and a.next()[0] == 200


def test_plain_http_on_a_tls_port_and_back(tls_engine, engine):
    with tls_engine.connect() as s:
        s.sendall(head('GET', '/hello'))
        try:
            assert b'200 OK' not in s.recv(1000)
        except ConnectionResetError:
            pass
    with engine.connect() as s:
        s.sendall(b'\x16\x03\x01\x00\xa5' + b'\x01' * 0xa5)
        assert Answers(s).next()[0] == 400


def test_silent_tls_clients_hold_no_worker(tls_engine, certificate):
    silent = [tls_engine.connect() for _ in range(200)]
    for s in silent[:100]:
        s.send(b'\x16\x03')
    assert requests.get(tls_engine.url + '/hello', verify=str(certificate[0]), timeout=20).status_code == 200
    for s in silent:
        s.close()


# --- many and slow peers ---

def test_slow_peers_disturb_nobody_and_are_cut(engine):
    uploads = [raw(engine, head('PUT', '/count', 'Content-Length: 1000000')) for _ in range(16)]
    heads = [raw(engine, b'GET /hello HTTP/1.1\r\n') for _ in range(16)]
    done = threading.Event()

    def drip():
        while not done.wait(1):
            for s, _ in uploads + heads:
                try:
                    s.send(b'x')
                except OSError:
                    pass
    dripper = threading.Thread(target=drip)
    dripper.start()
    try:
        with requests.Session() as session:
            for _ in range(500):
                assert session.get(engine.url + '/hello', timeout=5).status_code == 200
        assert [a.next()[0] for _, a in uploads] == [408] * 16
        with requests.Session() as session:
            assert session.get(engine.url + '/hello', timeout=5).status_code == 200
        assert [a.next()[0] for _, a in heads] == [408] * 16
    finally:
        done.set()
        dripper.join()


def test_readyz_answers_while_every_worker_is_busy():
    with Engine() as e:
        most = int(re.search(r'of (\d+), running', get(e, '/stats').text).group(1))
        busy = [raw(e, head('GET', '/block')) for _ in range(most)]
        # the next one is queued: nobody is left to run it
        wait_for(lambda: f'workers {most} (idle 0, spare 0) of {most}, running ' in get(e, '/stats').text, 40, 'busy workers')
        queued = [raw(e, head('GET', '/hello')) for _ in range(5)]
        wait_for(lambda: 'queued 5' in get(e, '/stats').text, what='5 queued requests')
        for _ in range(3):
            assert get(e, '/readyz').status_code == 200
        assert requests.post(e.url + '/release', timeout=20).status_code == 204
        assert [a.next()[2] for _, a in busy] == [b'released\n'] * most
        assert [a.next()[0] for _, a in queued] == [200] * 5


@pytest.mark.parametrize('request_bytes', [b'', head('GET', '/hello'), head('GET', '/events')],
                         ids=['new', 'keep-alive', 'events'])
def test_5000_idle_connections_need_little_memory(request_bytes):
    with Engine() as e:
        for _ in range(100):
            get(e, '/hello')
        before = e.rss_bytes()
        idle = []
        for _ in range(5000):
            s = e.connect()
            s.sendall(request_bytes)
            idle.append(s)
        if request_bytes:
            for s in idle:
                assert s.recv(15) == b'HTTP/1.1 200 OK'
        wait_for(lambda: 'connections 5001' in get(e, '/stats').text, what='all are accepted')
        grown = e.rss_bytes() - before
        assert grown < 10 * 1024 * 1024, f'{grown / 5000:.0f} bytes for each'
        assert e.threads() < 20
        for s in idle:
            s.close()
        wait_for(lambda: 'connections 1 ' in get(e, '/stats').text, what='all are gone')


# --- the end ---

def test_drain_finishes_what_runs_and_ends_what_waits():
    e = Engine('--grace', 3000)
    idle, running, events = e.connect(), raw(e, head('GET', '/block?ms=5000')), Sse(e)
    requests.get(e.url + '/hello', timeout=20)
    ws = websocket.create_connection(ws_url(e), timeout=20)
    upload, answer = raw(e, head('PUT', '/count', 'Content-Length: 5') + b'he')
    wait_for(lambda: 'running 3' in get(e, '/stats').text, what='/block, the upload and /stats run')
    e.process.send_signal(signal.SIGTERM)
    assert idle.recv(1) == b''
    opcode, data = ws.recv_data(control_frame=True)
    assert (opcode, data[:2]) == (websocket.ABNF.OPCODE_CLOSE, b'\x03\xe9')  # 1001: going away
    ws.shutdown()
    size = int(events.line(), 16)
    while size:  # "retry:" and then the orderly end
        events.line()
        size = int(events.line(), 16)
    upload.sendall(b'llo')
    status, headers, body = answer.next()
    assert (status, headers['connection'], body) == (200, 'close', b'5\n')
    wait_for(lambda: not connects(e), what='new connections are refused')
    assert e.process.poll() is None  # /block still runs: its grace is not over
    assert running[1].next() is None  # ... and is cut at its end
    assert e.stop(30) == 0


def connects(e):
    try:
        e.connect(1).close()
        return True
    except OSError:
        return False


def test_a_second_server_on_the_port_is_told_so(engine):
    r = subprocess.run([str(engine.process.args[0]), '--listen', f'127.0.0.1:{engine.port}'],
                       capture_output=True, text=True, timeout=20)
    assert r.returncode == 73 and f':{engine.port} is in use' in r.stderr and 'net.listen' in r.stderr


@pytest.mark.parametrize('args,text', [
    (['--listen', 'nonsense'], 'net.listen'), (['--listen', '127.0.0.1:99999'], 'net.listen'),
    (['--cert', '/nonexistent', '--key', '/nonexistent'], 'net.tls_cert'),
    (['--cert', '/nonexistent'], 'together'), (['--proxies', '10.0.0.0/33'], 'net.trusted_proxies'),
])
def test_wrong_settings_are_explained(engine, args, text):
    r = subprocess.run([str(engine.process.args[0]), *args], capture_output=True, text=True, timeout=20)
    assert r.returncode == 65 and text in r.stderr
