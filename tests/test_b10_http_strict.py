"""The HTTP engine refuses what two readers could understand in two ways, at least as strictly as nginx.

tests/corpus/http/refuse-*.http: one answer >= 400 and the end of the connection, although a good request
follows. accept<N>-*.http: exactly N answers of 200, so the framing is understood as the RFC says."""
import pathlib
import threading

import pytest

from http_engine import Answers, Engine, Nginx

CORPUS = sorted((pathlib.Path(__file__).parent / 'corpus' / 'http').glob('*.http'))
NEXT = b'GET /ignore HTTP/1.1\r\nHost: a.example\r\n\r\n'


@pytest.fixture(scope='module')
def engine():
    with Engine() as e:
        yield e


@pytest.fixture(scope='module')
def nginx(tmp_path_factory):
    with Nginx(tmp_path_factory.mktemp('nginx')) as n:
        yield n


def ask(server, raw):
    """All answers to these bytes on one connection, closed for writing behind them."""
    with server.connect() as s:
        def send():
            try:
                s.sendall(raw)
                s.shutdown(1)
            except OSError:
                pass  # refused while we were still sending
        sender = threading.Thread(target=send)
        sender.start()
        try:
            return Answers(s).all()
        finally:
            sender.join()


def statuses(answers):
    return [a[0] for a in answers]


def refused(answers):
    return len(answers) <= 1 and all(a[0] >= 400 for a in answers)


@pytest.mark.parametrize('path', [p for p in CORPUS if p.name.startswith('refuse-')], ids=lambda p: p.stem)
def test_refused_with_an_answer_and_the_connection_closed(engine, path):
    answers = ask(engine, path.read_bytes() + NEXT)
    assert len(answers) == 1 and 400 <= answers[0][0] < 600, statuses(answers)
    status, headers, body = answers[0]
    assert headers['connection'] == 'close'
    assert headers['content-type'] == 'application/json' and b'"message"' in body
    assert b'something failed' not in body  # it says what the client did wrong
    assert len(headers['x-request-id']) == 16 and headers['x-request-id'].encode() in body


@pytest.mark.parametrize('path', [p for p in CORPUS if p.name.startswith('accept')], ids=lambda p: p.stem)
def test_accepted_with_the_right_framing(engine, path):
    expected = int(path.name[len('accept'):].split('-')[0])
    assert statuses(ask(engine, path.read_bytes())) == [200] * expected


@pytest.mark.parametrize('path', CORPUS, ids=lambda p: p.stem)
def test_at_least_as_strict_as_nginx(engine, nginx, path):
    raw = path.read_bytes() + (NEXT if path.name.startswith('refuse-') else b'')
    theirs, ours = ask(nginx, raw), ask(engine, raw)
    if refused(theirs):
        assert refused(ours), f'nginx {statuses(theirs)}, we {statuses(ours)}'
    assert len(ours) <= max(1, len(theirs)), f'nginx {statuses(theirs)}, we {statuses(ours)}'


@pytest.mark.parametrize('path', CORPUS, ids=lambda p: p.stem)
def test_the_same_when_bytes_come_one_by_one(engine, path):
    raw = path.read_bytes()
    if len(raw) > 400:
        pytest.skip('long inputs are covered by the fuzzer')
    together = ask(engine, raw + NEXT)
    with engine.connect() as s:
        s.setsockopt(6, 1, 1)
        try:
            for byte in raw:
                s.send(bytes([byte]))
            s.sendall(NEXT)
            s.shutdown(1)
        except OSError:
            pass  # refused early
        assert statuses(Answers(s).all()) == statuses(together)
