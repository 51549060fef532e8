"""Webhooks: what a project's images tell other programs. The receiver is a real HTTP server in a thread."""
import csv
import hashlib
import hmac
import http.server
import io
import json
import os
import queue
import re
import socket
import ssl
import subprocess
import threading
import time

import pytest
import requests

from conftest import free_port, wait_for
from test_c20_registry import Registry

V1 = '/api/v1/projects/'
FAST = ('--set', 'webhooks.retry_delay=1s')


class Receiver:
    """Notes what it is sent and answers what `answer(n)` says: a status, (status, headers), or a function of the handler."""

    def __init__(self, answer=lambda n: 200, port=0, tls=None):
        self.got = []
        self.answer = answer
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers['Content-Length']))
                receiver.got.append((self.path, dict(self.headers), body))
                what = receiver.answer(len(receiver.got))
                if callable(what):
                    return what(self)
                status, headers = what if isinstance(what, tuple) else (what, {})
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header('Content-Length', '0')
                self.end_headers()

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass
        self.server = Server(('127.0.0.1', port), Handler)
        self.scheme = 'http'
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*tls)
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True, do_handshake_on_connect=False)
            self.scheme = 'https'
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={'poll_interval': 0.05}).start()

    @property
    def url(self):
        return f'{self.scheme}://127.0.0.1:{self.server.server_port}/hook?key=k1'

    def wait(self, n, timeout=30):
        wait_for(lambda: len(self.got) >= n, timeout, f'{n} requests, got {len(self.got)}')
        return self.bodies()

    def bodies(self):
        return [json.loads(body) for _, _, body in self.got]

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def receiver():
    made = []

    def make(*args, **kwargs):
        made.append(Receiver(*args, **kwargs))
        return made[-1]
    yield make
    for r in made:
        r.close()


@pytest.fixture(scope='module')
def fast(scratch):
    """A server that tries again after a second."""
    from conftest import Strata
    s = Strata(scratch / 'hooks' / 'state', args=FAST).start()
    yield s
    assert s.stop() == 0
    s.check_log()


@pytest.fixture
def project(fast, request):
    name = 'hook-' + re.sub('[^a-z0-9]+', '-', request.node.name.removeprefix('test_'))[:50].strip('-')
    fast.project(name)
    return name


@pytest.fixture(scope='module')
def registry(fast):
    return Registry(fast)


def hook(s, project, url, events=('PUSH_ARTIFACT',), status=201, user='admin', **more):
    r = s.api('POST', f'{V1}{project}/webhooks', user=user, json={
        'name': more.pop('name', 'ci'), 'url': url, 'events': list(events), **more})
    assert r.status_code == status, r.text
    return r.json()


def show(s, project, h):
    return s.api('GET', f'{V1}{project}/webhooks/{h["id"]}').json()


def log(s, project, h):
    r = s.api('GET', f'{V1}{project}/webhooks/{h["id"]}/deliveries')
    assert r.status_code == 200, r.text
    return r.json()['items']


def change(s, project, h, status=200, **what):
    r = s.api('PATCH', f'{V1}{project}/webhooks/{h["id"]}', json=what)
    assert r.status_code == status, r.text
    return r.json()


def ended(s, project, h, n=1, timeout=30):
    def over():
        found = [d for d in log(s, project, h) if d['state'] != 'waiting']
        return found if len(found) >= n else None
    return wait_for(over, timeout, f'{n} ended deliveries')


# --- bodies ---

def test_bodies_are_those_of_harbor(fast, registry, project, receiver):
    target = receiver()
    hook(fast, project, target.url, ['PUSH_ARTIFACT', 'PULL_ARTIFACT', 'DELETE_ARTIFACT'])
    before = int(time.time())
    digest, _ = registry.image(f'{project}/team/app', 'v1')
    pushed = target.wait(1)[0]
    assert set(pushed) == {'type', 'occur_at', 'operator', 'event_data'}
    assert pushed['type'] == 'PUSH_ARTIFACT' and pushed['operator'] == 'admin'
    assert before <= pushed['occur_at'] <= time.time()
    created = pushed['event_data']['repository'].pop('date_created')
    assert before - 1 <= created <= time.time()
    url = f'127.0.0.1:{fast.port}/{project}/team/app'
    assert pushed['event_data'] == {
        'resources': [{'digest': digest, 'tag': 'v1', 'resource_url': url + ':v1'}],
        'repository': {'name': 'team/app', 'namespace': project, 'repo_full_name': f'{project}/team/app', 'repo_type': 'private'}}
    path, headers, _ = target.got[0]
    assert path == '/hook?key=k1' and headers['Content-Type'] == 'application/json'
    assert headers['X-Strata-Event'] == 'PUSH_ARTIFACT' and re.fullmatch('[a-z2-9]{26}|[a-z0-9]{26}', headers['X-Request-Id'])
    assert 'Authorization' not in headers and 'X-Strata-Signature' not in headers
    # A pull, by tag and by digest; HEAD is none.
    assert registry('HEAD', f'/v2/{project}/team/app/manifests/v1').status_code == 200
    assert registry('GET', f'/v2/{project}/team/app/manifests/v1').status_code == 200
    assert registry('GET', f'/v2/{project}/team/app/manifests/{digest}').status_code == 200
    by_tag, by_digest = target.wait(3)[1:3]
    assert by_tag['type'] == by_digest['type'] == 'PULL_ARTIFACT'
    assert by_tag['event_data']['resources'][0]['tag'] == 'v1'
    assert by_tag['event_data']['repository']['date_created'] == created
    assert by_digest['event_data']['resources'] == [{'digest': digest, 'tag': digest, 'resource_url': f'{url}@{digest}'}]
    assert registry('DELETE', f'/v2/{project}/team/app/manifests/{digest}').status_code == 202
    deleted = target.wait(4)[3]
    assert deleted['type'] == 'DELETE_ARTIFACT'
    assert deleted['event_data']['resources'] == [{'digest': digest, 'tag': 'v1', 'resource_url': url + ':v1'}]
    assert len(target.got) == 4


def test_cloud_events_are_structured(fast, registry, project, receiver):
    target = receiver()
    fast.api('PATCH', f'{V1}{project}', json={'public': True})
    h = hook(fast, project, target.url, ['PUSH_ARTIFACT'], format='CloudEvents')
    digest, _ = registry.image(f'{project}/app', 'v1')
    event = target.wait(1)[0]
    _, headers, _ = target.got[0]
    assert headers['Content-Type'] == 'application/cloudevents+json'
    assert set(event) == {'specversion', 'id', 'requestid', 'source', 'type', 'datacontenttype', 'time', 'data', 'operator'}
    assert event['specversion'] == '1.0' and event['type'] == 'harbor.artifact.pushed'
    assert event['datacontenttype'] == 'application/json' and event['operator'] == 'admin'
    assert event['source'] == f'/api/v1/projects/{project}/webhooks/{h["id"]}'
    assert event['id'] == event['requestid'] == headers['X-Request-Id']
    assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z', event['time'])
    assert event['data']['repository']['repo_type'] == 'public'
    assert event['data']['resources'][0]['digest'] == digest


def test_deleting_a_tag_a_repository_and_by_our_own_api(fast, registry, project, receiver):
    target = receiver()
    hook(fast, project, target.url, ['DELETE_ARTIFACT'])
    one, _ = registry.image(f'{project}/app', 'a')
    registry.image(f'{project}/app', 'b')
    registry.image(f'{project}/app', 'c')
    assert registry('DELETE', f'/v2/{project}/app/manifests/a').status_code == 202
    assert fast.api('DELETE', f'{V1}{project}/repositories/app/tags/b').status_code == 204
    assert fast.api('DELETE', f'{V1}{project}/repositories/app').status_code == 204
    bodies = target.wait(3)
    first = [b['event_data']['resources'] for b in bodies]
    assert first[0][0]['tag'] == 'a' and first[0][0]['digest'] == one
    assert [r['tag'] for r in first[1]] == ['b']
    # The manifest that lost its tag over /v2/ is still there, named by its digest.
    assert sorted(r['tag'] for r in first[2]) == sorted(['c', one])
    assert registry('DELETE', f'/v2/{project}/app/manifests/zzz').status_code == 404
    assert fast.api('DELETE', f'{V1}{project}/repositories/app').status_code == 404
    assert len(target.got) == 3


def test_a_large_repository_is_one_event_with_a_count_of_the_rest(fast, registry, project, receiver):
    target = receiver()
    _, body = registry.image(f'{project}/app', 't0')
    for i in range(1, 130):
        registry.manifest(f'{project}/app', f't{i}', body)
    hook(fast, project, target.url, ['DELETE_ARTIFACT'])
    assert fast.api('DELETE', f'{V1}{project}/repositories/app').status_code == 204
    data = target.wait(1)[0]['event_data']
    assert len(data['resources']) == 100 and data['custom_attributes'] == {'left_out': '30'}


def test_quota_events(fast, registry, project, receiver):
    target = receiver()
    hook(fast, project, target.url, ['QUOTA_EXCEED', 'QUOTA_WARNING'])
    r = fast.api('PUT', f'{V1}{project}/quota', json={'quota_bytes': 10000})
    assert r.status_code == 200
    registry.blob(f'{project}/app', os.urandom(5000))
    registry.blob(f'{project}/app', os.urandom(3600))  # 86 %
    warned = target.wait(1)[0]
    assert warned['type'] == 'QUOTA_WARNING'
    assert warned['event_data'] == {
        'repository': {'name': 'app', 'namespace': project, 'repo_full_name': f'{project}/app', 'repo_type': 'private'},
        'custom_attributes': {'Details': 'quota usage reach 85%: resource storage used 8.4 KiB of 9.8 KiB'}}
    registry.blob(f'{project}/app', os.urandom(100))  # past it already: told once
    for _ in range(5):
        with pytest.raises(AssertionError):
            registry.blob(f'{project}/app', os.urandom(2000))
    exceeded = target.wait(2)[1]
    assert exceeded['type'] == 'QUOTA_EXCEED'
    assert exceeded['event_data']['custom_attributes']['Details'] == 'the images would take 10.4 KiB, the quota is 9.8 KiB'
    with pytest.raises(AssertionError):
        registry.blob(f'{project}/app', os.urandom(20000))  # refused before it is sent
    threading.Event().wait(1.5)
    assert len(target.got) == 2, 'at most one a minute'


def test_retention_tells_of_the_run_and_of_what_went(fast, registry, project, receiver):
    target = receiver()
    for tag in ('v1', 'v2', 'v3'):
        registry.image(f'{project}/app', tag)
    hook(fast, project, target.url, ['TAG_RETENTION', 'DELETE_ARTIFACT'])
    r = fast.api('PUT', f'{V1}{project}/image-policy', json={'retention': {'others': 'remove', 'rules': [
        {'repositories': 'app', 'tags': '**', 'keep': 'latest_pushed', 'n': 1}]}})
    assert r.status_code == 200, r.text
    for dry in (True, False):
        r = fast.api('POST', f'{V1}{project}/retention/runs', json={'dry_run': dry})
        assert r.status_code == 201 and r.json()['removed'] == 2, r.text
    deleted, run = target.wait(2)
    assert deleted['type'] == 'DELETE_ARTIFACT' and sorted(x['tag'] for x in deleted['event_data']['resources']) == ['v1', 'v2']
    assert run['type'] == 'TAG_RETENTION' and run['operator'] == 'admin'
    retention = run['event_data']['retention']
    gone = retention.pop('deleted_artifact')
    assert sorted(g['name_tag'] for g in gone) == ['app:v1', 'app:v2']
    assert all(g['type'] == 'image' and g['status'] == 'SUCCESS' for g in gone)
    assert retention == {'harbor_hostname': f'127.0.0.1:{fast.port}', 'total': 3, 'retained': 1, 'project_name': project,
                         'result': 'SUCCESS'}
    assert len(target.got) == 2, 'a dry run is told of to nobody'


# --- who may be sure who sent it ---

def test_signature_and_header(fast, registry, project, receiver):
    target = receiver()
    h = hook(fast, project, target.url, auth_header='Bearer s3cr3t-auth', secret='s3cr3t-hmac')
    assert h['has_auth_header'] and h['has_secret'] and 's3cr3t' not in json.dumps(h)
    registry.image(f'{project}/app', 'v1')
    target.wait(1)
    _, headers, body = target.got[0]
    assert headers['Authorization'] == 'Bearer s3cr3t-auth'
    stamp = headers['X-Strata-Timestamp']
    assert abs(int(stamp) - time.time()) < 60
    want = hmac.new(b's3cr3t-hmac', stamp.encode() + b'.' + body, hashlib.sha256).hexdigest()
    assert headers['X-Strata-Signature'] == f'sha256={want}'
    change(fast, project, h, auth_header=None, secret='another')
    registry.image(f'{project}/app', 'v2')
    target.wait(2)
    _, headers, body = target.got[1]
    assert 'Authorization' not in headers
    want = hmac.new(b'another', headers['X-Strata-Timestamp'].encode() + b'.' + body, hashlib.sha256).hexdigest()
    assert headers['X-Strata-Signature'] == f'sha256={want}'


def test_secrets_are_neither_shown_nor_logged_nor_stored_plainly(own_strata, receiver):
    s = own_strata(args=FAST).start()
    s.project('demo')
    target = receiver(lambda n: 500 if n < 2 else 200)
    h = hook(s, 'demo', target.url, auth_header='Bearer plain-auth-9231', secret='plain-hmac-9231')
    Registry(s).image('demo/app', 'v1')
    target.wait(2)
    change(s, 'demo', h, secret='plain-hmac-9232')
    seen = s.api('GET', f'{V1}demo/webhooks').text + s.api('GET', f'{V1}demo/webhooks/{h["id"]}').text
    for d in ended(s, 'demo', h):
        seen += s.api('GET', f'{V1}demo/webhooks/{h["id"]}/deliveries/{d["id"]}').text
    seen += s.api('GET', '/api/v1/audit').text + s.cli('webhook', 'show', 'ci', '-p', 'demo').stdout
    assert 'plain-' not in seen
    s.stop()
    assert 'plain-' not in s.log() and 'key=k1' not in s.log()
    for path in s.state.rglob('state.db*'):
        assert b'plain-' not in path.read_bytes(), path


def test_a_new_server_does_not_get_the_header_of_the_old_one(fast, registry, project, receiver):
    target, other = receiver(), receiver()
    h = hook(fast, project, target.url, auth_header='Bearer mine')
    r = change(fast, project, h, status=400, url=other.url)
    assert 'auth_header was given for another server' in r['error']['message']
    same = target.url.replace('/hook', '/elsewhere')
    assert change(fast, project, h, url=same)['has_auth_header']
    assert not change(fast, project, h, url=other.url, auth_header=None)['has_auth_header']
    registry.image(f'{project}/app', 'v1')
    other.wait(1)
    assert 'Authorization' not in other.got[0][1] and target.got == []


def test_altered_values_are_not_sent(own_strata, receiver):
    s = own_strata(args=FAST).start()
    s.project('demo')
    target = receiver()
    h = hook(s, 'demo', target.url, auth_header='Bearer one', name='a')
    g = hook(s, 'demo', target.url, auth_header='Bearer two', name='b', enabled=False)
    s.stop()
    subprocess.run(['sqlite3', s.state / 'state.db', f'UPDATE webhooks SET auth = (SELECT auth FROM webhooks WHERE id = {g["id"]})'
                    f' WHERE id = {h["id"]}'], check=True)
    s.start()
    Registry(s).image('demo/app', 'v1')
    d = ended(s, 'demo', h)[0]
    assert d['state'] == 'failed' and d['attempts'] == 1 and 'altered, or sealed under another key' in d['error']
    assert target.got == []


# --- trust ---

def make_ca(folder):
    run = lambda *a: subprocess.run(['openssl', *a], cwd=folder, check=True, capture_output=True)
    run('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'ca.key', '-out', 'ca.pem', '-days', '2', '-subj', '/CN=test ca')
    run('req', '-newkey', 'rsa:2048', '-nodes', '-keyout', 'tls.key', '-out', 'tls.csr', '-subj', '/CN=localhost')
    (folder / 'ext').write_text('subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    run('x509', '-req', '-in', 'tls.csr', '-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-out', 'tls.pem', '-days', '2',
        '-extfile', 'ext')
    return (folder / 'ca.pem').read_text(), (str(folder / 'tls.pem'), str(folder / 'tls.key'))


def test_tls_with_a_ca_of_ones_own(fast, registry, project, receiver, tmp_path):
    ca, tls = make_ca(tmp_path)
    target = receiver(tls=tls)
    fast.user('hook-maint', project, 'maintainer')
    h = hook(fast, project, target.url, user='hook-maint')
    registry.image(f'{project}/app', 'v1')
    first = wait_for(lambda: [d for d in log(fast, project, h) if d['attempts'] > 0], what='a try')[0]
    assert first['state'] == 'waiting' and 'certificate' in first['error'] and first['status'] is None
    assert target.got == []
    change(fast, project, h, ca=ca)  # mends it, and what waits goes out at once
    target.wait(1)
    # Any certificate: an administrator says so, of one server.
    path = f'{V1}{project}/webhooks/{h["id"]}/skip-cert-verify'
    assert fast.api('PUT', path, user='hook-maint', json={'skip': True}).status_code == 403
    change(fast, project, h, ca=None)
    assert fast.api('PUT', path, json={'skip': True}).json()['skip_cert_verify']
    registry.image(f'{project}/app', 'v2')
    target.wait(2)
    moved = change(fast, project, h, url=target.url.replace('127.0.0.1', 'localhost'))
    assert not moved['skip_cert_verify']
    for bad in ('text', open(tls[1]).read()):
        change(fast, project, h, status=400, ca=bad)


# --- when the target is not well ---

def test_a_failing_target_that_heals_gets_all_in_order(fast, registry, project, receiver):
    target = receiver(lambda n: 500 if n <= 2 else 204)
    h = hook(fast, project, target.url)
    for i in range(5):
        registry.image(f'{project}/app', f'v{i}')
    wait_for(lambda: show(fast, project, h)['failures'] >= 1, what='a failure')
    assert show(fast, project, h)['waiting'] == 5 and show(fast, project, h)['next_try_at']
    target.wait(7)
    tags = [b['event_data']['resources'][0]['tag'] for b in target.bodies()]
    assert tags == ['v0', 'v0', 'v0', 'v1', 'v2', 'v3', 'v4']
    assert len({headers['X-Request-Id'] for _, headers, _ in target.got[:3]}) == 1
    deliveries = ended(fast, project, h, 5)
    assert [d['attempts'] for d in deliveries] == [1, 1, 1, 1, 3]
    assert all(d['state'] == 'sent' and d['status'] == 204 and d['error'] is None and d['duration_ms'] >= 0 for d in deliveries)
    assert deliveries[-1]['payload_bytes'] == len(target.got[0][2])
    after = show(fast, project, h)
    assert after['failures'] == after['waiting'] == 0 and after['next_try_at'] is None


def test_retry_after_is_honoured_and_changing_the_hook_tries_at_once(fast, registry, project, receiver):
    target = receiver(lambda n: (503, {'Retry-After': '1200'}) if n == 1 else 200)
    h = hook(fast, project, target.url)
    registry.image(f'{project}/app', 'v1')
    at = wait_for(lambda: show(fast, project, h)['next_try_at'], what='a next try')
    minutes = (time.mktime(time.strptime(at[:19], '%Y-%m-%dT%H:%M:%S')) - time.mktime(time.gmtime())) / 60
    assert 18 < minutes <= 20.5
    change(fast, project, h, tags='**')
    target.wait(2)


def test_tries_have_an_end(own_strata, receiver):
    s = own_strata(args=(*FAST, '--set', 'webhooks.tries=2')).start()
    s.project('demo')
    target = receiver(lambda n: 404)
    h = hook(s, 'demo', target.url)
    Registry(s).image('demo/app', 'v1')
    d = ended(s, 'demo', h)[0]
    assert d['state'] == 'failed' and d['attempts'] == 2 and d['status'] == 404 and d['error'] == 'the target answered 404'
    assert len(target.got) == 2 and show(s, 'demo', h)['waiting'] == 0


def test_a_hanging_target_holds_up_nobody_else(fast, registry, project, receiver):
    let_go = threading.Event()
    stuck = receiver(lambda n: lambda handler: let_go.wait(60))
    well = receiver()
    fast.project(project + '-2')
    bad = hook(fast, project, stuck.url, name='stuck')
    for i in range(3):
        hook(fast, project, stuck.url, name=f'stuck{i}')
    hook(fast, project + '-2', well.url)
    registry.image(f'{project}/app', 'v1')
    stuck.wait(2)  # as many as a project may hold
    began = time.monotonic()
    for i in range(5):
        registry.image(f'{project}-2/app', f'v{i}')
    well.wait(5, timeout=8)
    assert time.monotonic() - began < 9, 'did not wait for the ones that hang'
    d = wait_for(lambda: [d for d in log(fast, project, bad) if d['attempts']], 40, 'the time is up')[0]
    assert 'does not answer in time' in d['error'] and 9000 <= d['duration_ms'] < 15000
    let_go.set()


def test_deleting_and_switching_off_end_what_is_under_way(fast, registry, project, receiver):
    let_go, closed = threading.Event(), queue.Queue()

    def hang(handler):
        handler.connection.settimeout(30)
        closed.put(handler.connection.recv(1))  # b'' as soon as the peer goes
    target = receiver(lambda n: hang)
    for end in ('off', 'delete'):
        h = hook(fast, project, target.url)
        registry.image(f'{project}/app', 'v1')
        registry.image(f'{project}/app', 'v2')
        wait_for(lambda: len(target.got) >= 1, what='the first is under way')
        if end == 'off':
            assert not change(fast, project, h, enabled=False)['enabled']
        else:
            assert fast.api('DELETE', f'{V1}{project}/webhooks/{h["id"]}').status_code == 204
        assert closed.get(timeout=5) == b''
        if end == 'off':
            assert {d['state'] for d in log(fast, project, h)} == {'cancelled'}
            registry.image(f'{project}/app', 'v3')  # told to nobody
            change(fast, project, h, enabled=True)
            assert len(log(fast, project, h)) == 2
            r = fast.api('DELETE', f'{V1}{project}/webhooks/{h["id"]}')
            assert r.status_code == 204
        assert len(target.got) == 1
        target.got.clear()
    let_go.set()


def test_an_endless_answer_and_a_redirect(fast, registry, project, receiver):
    def endless(status):
        def send(handler):
            handler.send_response(status)
            handler.send_header('Content-Length', str(1 << 30))
            handler.end_headers()
            try:
                for _ in range(1 << 14):
                    handler.wfile.write(b'x' * (1 << 16))
            except OSError:
                pass
        return send
    target = receiver(lambda n: endless(200))
    h = hook(fast, project, target.url, name='endless')
    registry.image(f'{project}/app', 'v1')
    d = ended(fast, project, h)[0]
    assert d['state'] == 'sent' and d['status'] == 200, 'it said that it has it'
    fast.api('DELETE', f'{V1}{project}/webhooks/{h["id"]}')
    other = receiver()
    leads = receiver(lambda n: (302, {'Location': other.url}))
    h = hook(fast, project, leads.url, name='leads')
    registry.image(f'{project}/app', 'v2')
    d = wait_for(lambda: [d for d in log(fast, project, h) if d['attempts']], what='a try')[0]
    assert d['status'] == 302 and 'redirects are not followed' in d['error'] and other.got == []


def test_forbidden_addresses(fast, registry, project):
    for i, url in enumerate(('http://169.254.169.254/latest/meta-data', 'http://[::ffff:169.254.169.254]/', 'http://0.0.0.0:1/',
                             'http://[fe80::1]/', 'http://2852039166/', 'http://0xa9fea9fe/', 'http://[::]:1/')):
        h = hook(fast, project, url, name=f'h{i}')
        r = fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/ping')
        assert r.status_code == 202
        d = ended(fast, project, h)[0]
        assert d['state'] == 'failed' and 'net.outbound_deny' in d['error'], (url, d)
        assert fast.api('DELETE', f'{V1}{project}/webhooks/{h["id"]}').status_code == 204


def test_a_network_that_is_denied(own_strata, receiver):
    s = own_strata(args=('--set', 'net.outbound_deny=127.0.0.0/8')).start()
    s.project('demo')
    target = receiver()
    h = hook(s, 'demo', target.url)
    s.api('POST', f'{V1}demo/webhooks/{h["id"]}/ping')
    d = ended(s, 'demo', h)[0]
    assert d['state'] == 'failed' and d['attempts'] == 1 and target.got == []


# --- at least once ---

def test_what_was_pushed_is_told_after_a_kill(own_strata, receiver):
    s = own_strata(args=FAST).start()
    s.project('demo')
    port = free_port()
    h = hook(s, 'demo', f'http://127.0.0.1:{port}/')
    registry = Registry(s)
    for i in range(20):
        registry.image('demo/app', f'v{i}')
    assert registry('DELETE', '/v2/demo/app/manifests/v0').status_code == 202
    s.kill()
    target = receiver(port=port)
    s.start()
    target.wait(20)
    wait_for(lambda: show(s, 'demo', h)['waiting'] == 0, what='the queue is empty')
    tags = [b['event_data']['resources'][0]['tag'] for b in target.bodies()]
    assert list(dict.fromkeys(tags)) == [f'v{i}' for i in range(20)], 'in order, and each at least once'


def test_a_kill_while_one_is_under_way(own_strata, receiver):
    s = own_strata(args=FAST).start()
    s.project('demo')
    let_go = threading.Event()
    target = receiver(lambda n: (lambda handler: let_go.wait(60)) if n == 1 else 200)
    h = hook(s, 'demo', target.url)
    Registry(s).image('demo/app', 'v1')
    target.wait(1)
    s.kill()
    let_go.set()
    s.start()
    target.wait(2)
    assert target.got[0][1]['X-Request-Id'] == target.got[1][1]['X-Request-Id']
    assert target.got[0][2] == target.got[1][2]
    assert ended(s, 'demo', h)[0]['state'] == 'sent'


def test_a_stop_does_not_wait_for_a_target(own_strata, receiver):
    s = own_strata(args=FAST).start()
    s.project('demo')
    let_go = threading.Event()
    target = receiver(lambda n: lambda handler: let_go.wait(60))
    hook(s, 'demo', target.url)
    Registry(s).image('demo/app', 'v1')
    target.wait(1)
    began = time.monotonic()
    assert s.stop() == 0
    assert time.monotonic() - began < 8
    let_go.set()


# --- choosing ---

def test_filters(fast, registry, project, receiver):
    target, all_tags = receiver(), receiver()
    hook(fast, project, target.url, ['PUSH_ARTIFACT', 'DELETE_ARTIFACT'], repositories='{app,team/*}', tags='v*', name='some')
    hook(fast, project, all_tags.url, repositories='team/**', name='team')
    for name, tag in (('app', 'v1'), ('app', 'nightly'), ('other', 'v1'), ('team/x', 'v2'), ('team/x/y', 'v3')):
        registry.image(f'{project}/{name}', tag)
    digest, body = registry.image(f'{project}/app', 'v9')
    registry('PUT', f'/v2/{project}/app/manifests/{digest}', data=body, params={'tag': ['v10', 'w10']},
             headers={'Content-Type': 'application/vnd.oci.image.manifest.v1+json'})
    assert fast.api('DELETE', f'{V1}{project}/repositories/app').status_code == 204
    seen = [(b['event_data']['repository']['name'], sorted(r['tag'] for r in b['event_data']['resources'])) for b in target.wait(5)]
    assert seen[:4] == [('app', ['v1']), ('team/x', ['v2']), ('app', ['v9']), ('app', ['v10'])]
    assert seen[4] == ('app', ['v1', 'v10', 'v9'])
    assert [b['event_data']['repository']['name'] for b in all_tags.wait(2)] == ['team/x', 'team/x/y']
    assert len(target.got) == 5 and len(all_tags.got) == 2


def test_mistakes_are_named_all_at_once(fast, project):
    r = hook(fast, project, 'ftp://x', ['PUSH_ARTEFACT'], status=400, name='-x', tags='a[', format='XML', auth_header='a\r\nb: c')
    message = r['error']['message']
    for said in ('name:', 'url:', "did you mean 'PUSH_ARTIFACT'", 'tags:', 'format:', 'auth_header:'):
        assert said in message, message
    for url in ('http://', 'https:///x', 'http://user:pw@host/', 'http://h/ x', 'http://h/#x', 'http://h\\@x/', 'javascript:alert(1)',
                'http://h/' + 'x' * 2000, 'HTTP://h/', 'http://h/\u00e9'):
        hook(fast, project, url, status=400)
    for body in ({'name': 'x', 'url': 'http://h'}, {'name': 'x', 'events': ['PUSH_ARTIFACT']}, {'events': [], 'name': 'x', 'url': 'http://h'},
                 {'name': 'x', 'url': 'http://h', 'events': ['PING']}, {'name': 'x', 'url': 'http://h', 'events': [1]},
                 {'name': 'x', 'url': 'http://h', 'events': ['PUSH_ARTIFACT'], 'skip_cert_verify': True}, [], 7):
        r = fast.api('POST', f'{V1}{project}/webhooks', json=body)
        assert r.status_code == 400, (body, r.text)
    assert fast.api('GET', f'{V1}{project}/webhooks').json() == {'items': [], 'next': None}
    for path in ('/1000000', '/x', '/1000000/deliveries', '/9223372036854775808'):
        assert fast.api('GET', f'{V1}{project}/webhooks{path}').status_code == 404


def test_a_project_has_a_limit_and_names_are_its_own(fast, project):
    fast.project(project + '-2')
    first = hook(fast, project, 'http://127.0.0.1:1/', name='h0', enabled=False)
    for i in range(1, 20):
        hook(fast, project, 'http://127.0.0.1:1/', name=f'h{i}', enabled=False)
    assert 'at most 20' in hook(fast, project, 'http://127.0.0.1:1/', name='h20', status=413)['error']['message']
    hook(fast, project + '-2', 'http://127.0.0.1:1/', name='h0', enabled=False)
    change(fast, project, first, status=409, name='h1')
    # Another project's is not there.
    assert fast.api('GET', f'{V1}{project}-2/webhooks/{first["id"]}').status_code == 404
    assert fast.api('DELETE', f'{V1}{project}-2/webhooks/{first["id"]}').status_code == 404
    assert fast.api('POST', f'{V1}{project}/webhooks/{first["id"]}/ping').status_code == 409
    # With the project its hooks go.
    assert fast.api('DELETE', f'{V1}{project}').status_code == 204
    fast.project(project)
    assert fast.api('GET', f'{V1}{project}/webhooks').json()['items'] == []


def test_a_full_queue_drops_the_oldest_and_says_so(own_strata):
    s = own_strata(args=FAST).start()
    s.project('demo')
    h = hook(s, 'demo', 'http://127.0.0.1:1/')
    registry = Registry(s)
    _, body = registry.image('demo/app', 't0')
    session = requests.Session()
    session.auth = registry.auth
    for i in range(1, 1011):
        r = session.put(f'{s.url}/v2/demo/app/manifests/t{i}', data=body,
                        headers={'Content-Type': 'application/vnd.oci.image.manifest.v1+json'})
        assert r.status_code == 201
    now = show(s, 'demo', h)
    assert now['waiting'] == 1000 and now['dropped'] == 11
    newest = log(s, 'demo', h)[0]
    one = s.api('GET', f'{V1}demo/webhooks/{h["id"]}/deliveries/{newest["id"]}').json()
    assert json.loads(one['payload'])['event_data']['resources'][0]['tag'] == 't1010'
    seen, after = 0, None
    while True:
        page = s.api('GET', f'{V1}demo/webhooks/{h["id"]}/deliveries', params={'limit': 300, **({'after': after} if after else {})}).json()
        seen += len(page['items'])
        after = page['next']
        if after is None:
            break
    assert seen == 1000


# --- by hand ---

def test_ping_redeliver_and_the_log(fast, registry, project, receiver):
    target = receiver()
    h = hook(fast, project, target.url, ['DELETE_ARTIFACT'])
    r = fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/ping')
    assert r.status_code == 202 and r.json()['event'] == 'PING'
    ping = target.wait(1)[0]
    assert ping['type'] == 'PING' and ping['operator'] == 'admin' and ping['event_data']['custom_attributes']['Details']
    digest, _ = registry.image(f'{project}/app', 'v1')
    registry('DELETE', f'/v2/{project}/app/manifests/{digest}')
    target.wait(2)
    d = next(d for d in ended(fast, project, h, 2) if d['event'] == 'DELETE_ARTIFACT')
    r = fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/deliveries/{d["id"]}/redeliver')
    assert r.status_code == 202 and r.json()['id'] != d['id'] and r.json()['request_id'] == d['request_id']
    target.wait(3)
    assert target.got[1][2] == target.got[2][2]
    assert fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/deliveries/999999/redeliver').status_code == 404
    for _ in range(110):
        assert fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/ping').status_code == 202
        wait_for(lambda: show(fast, project, h)['waiting'] == 0, what='sent')
    assert len(log(fast, project, h)) == 100


def test_a_ping_is_tried_once_and_before_what_waits(fast, registry, project, receiver):
    target = receiver(lambda n: 500)
    h = hook(fast, project, target.url)
    registry.image(f'{project}/app', 'v1')
    target.wait(1)
    assert fast.api('POST', f'{V1}{project}/webhooks/{h["id"]}/ping').status_code == 202
    d = next(iter(wait_for(lambda: [d for d in log(fast, project, h) if d['event'] == 'PING' and d['state'] != 'waiting'], what='ended')))
    assert d['state'] == 'failed' and d['attempts'] == 1 and d['status'] == 500
    assert [d['state'] for d in log(fast, project, h) if d['event'] == 'PUSH_ARTIFACT'] == ['waiting']


def test_webhooks_do_not_set_off_each_other(fast, project):
    token = fast.token()
    a = hook(fast, project, 'http://127.0.0.1:1/', name='a')
    b = hook(fast, project, f'{fast.url}{V1}{project}/webhooks/{a["id"]}/ping', name='b', auth_header=f'Bearer {token}')
    change(fast, project, a, url=f'{fast.url}{V1}{project}/webhooks/{b["id"]}/ping', auth_header=f'Bearer {token}')
    assert fast.api('POST', f'{V1}{project}/webhooks/{a["id"]}/ping').status_code == 202
    d = ended(fast, project, a)[0]
    assert d['status'] == 400 and log(fast, project, b) == []


def test_the_command_line(fast, registry, project, receiver, tmp_path):
    target = receiver()
    (tmp_path / 'auth').write_text('Bearer from-file\n')
    r = fast.cli('webhook', 'create', 'ci', '--url', target.url, '--event', 'PUSH_ARTIFACT', '--event', 'DELETE_ARTIFACT',
                 '--auth-header-file', tmp_path / 'auth', '--secret-file', '-', '--tags', 'v*', '-p', project, input='shared\n', check=True)
    assert 'ci' in r.stdout
    r = fast.cli('webhook', 'list', '-p', project, check=True)
    assert 'ci' in r.stdout and 'PUSH_ARTIFACT' in r.stdout
    shown = json.loads(fast.cli('webhook', 'show', 'ci', '-p', project, '--json', check=True).stdout)
    assert shown['tags'] == 'v*' and shown['has_auth_header'] and shown['has_secret']
    r = fast.cli('webhook', 'ping', 'ci', '-p', project, check=True)
    assert '200' in r.stdout
    assert target.got[0][1]['Authorization'] == 'Bearer from-file' and 'X-Strata-Signature' in target.got[0][1]
    fast.cli('webhook', 'set', 'ci', '--format', 'CloudEvents', '--tags', '', '-p', project, check=True)
    registry.image(f'{project}/app', 'x1')
    assert target.wait(2)[1]['type'] == 'harbor.artifact.pushed'
    ended(fast, project, shown, 2)
    rows = json.loads(fast.cli('webhook', 'log', 'ci', '-p', project, '--json', check=True).stdout)
    assert [d['event'] for d in rows] == ['PUSH_ARTIFACT', 'PING']
    fast.cli('webhook', 'redeliver', 'ci', rows[0]['id'], '-p', project, check=True)
    target.wait(3)
    target.answer = lambda n: 500
    r = fast.cli('webhook', 'ping', 'ci', '-p', project)
    assert r.returncode != 0 and 'answered 500' in r.stderr
    fast.cli('webhook', 'trust', 'ci', 'yes', '-p', project, check=True)
    assert show(fast, project, shown)['skip_cert_verify']
    fast.cli('webhook', 'set', 'ci', '--enabled', 'no', '-p', project, check=True)
    assert fast.cli('webhook', 'ping', 'ci', '-p', project).returncode != 0
    fast.cli('webhook', 'delete', 'ci', '--yes', '-p', project, check=True)
    r = fast.cli('webhook', 'show', 'ci', '-p', project)
    assert r.returncode != 0 and 'no webhook' in r.stderr


def test_roles(fast, project):
    h = hook(fast, project, 'http://127.0.0.1:1/', enabled=False)
    path = f'{V1}{project}/webhooks'
    for role, status in (('guest', 403), ('developer', 403), ('maintainer', 200)):
        user = fast.user(f'hook-{role}', project, role)
        assert fast.api('GET', path, user=user).status_code == status, role
        assert fast.api('PATCH', f'{path}/{h["id"]}', user=user, json={'tags': 'v*'}).status_code == status, role
    outsider = fast.user('hook-outsider')
    assert fast.api('GET', path, user=outsider).status_code == 404
    assert fast.api('GET', path, user=None).status_code == 401


# --- the audit log as a file ---

def test_the_audit_log_is_exported_whole(fast, project):
    for i in range(1200):  # more than two parts
        assert fast.api('PATCH', f'{V1}{project}', json={'public': i % 2 == 0}).status_code == 200
    path = '/api/v1/audit/export'
    r = fast.api('GET', path, params={'project': project})
    assert r.status_code == 200 and r.headers['Content-Type'].startswith('application/x-ndjson')
    assert 'audit.ndjson' in r.headers['Content-Disposition']
    lines = [json.loads(line) for line in r.text.splitlines()]
    listed, after = [], None
    while after is not None or not listed:
        page = fast.api('GET', '/api/v1/audit', params={'project': project, 'limit': 1000, **({'after': after} if after else {})}).json()
        listed += page['items']
        after = page['next']
    assert lines == listed and len(lines) >= 1200
    r = fast.api('GET', path, params={'project': project, 'format': 'csv'})
    rows = list(csv.reader(io.StringIO(r.text, newline='')))
    assert rows[0] == ['id', 'at', 'user', 'method', 'path', 'project', 'status', 'peer', 'request_id']
    assert [int(row[0]) for row in rows[1:]] == [e['id'] for e in listed] and rows[1][4] == listed[0]['path']
    some = fast.api('GET', path, params={'project': project, 'until': listed[700]['at'], 'since': listed[800]['at'], 'q': project})
    assert listed[750]['id'] in [json.loads(line)['id'] for line in some.text.splitlines()]
    assert fast.api('GET', path, params={'user': 'nobody-of-that-name'}).text == ''
    assert fast.api('GET', path, params={'format': 'xml'}).status_code == 400
    maintainer = fast.user('hook-maintainer', project, 'maintainer')
    assert fast.api('GET', path, user=maintainer).status_code == 403
    newest = fast.api('GET', '/api/v1/audit', params={'limit': 50, 'user': 'admin'}).json()['items']
    assert any(e['path'] == path and e['method'] == 'GET' for e in newest), 'who took it is written down'
    out = fast.cli('audit', 'export', '--format', 'csv', '-p', project, check=True).stdout
    assert out.splitlines()[0] == r.text.splitlines()[0] and set(r.text.splitlines()) <= set(out.splitlines())


def test_formulas_of_others_are_text_in_a_spreadsheet(fast, project):
    bad = fast.user('hook-maintainer', project, 'maintainer')
    assert fast.api('GET', '/api/v1/projects/=1+1/webhooks', user=bad).status_code == 404
    assert fast.api('DELETE', '/api/v1/projects/=1+1', user=bad).status_code == 404
    text = wait_for(lambda: (lambda t: t if '1+1' in t else None)(
        fast.api('GET', '/api/v1/audit/export', params={'format': 'csv', 'user': bad}).text), what='the refusal is written')
    row = next(r for r in csv.reader(io.StringIO(text, newline='')) if '1+1' in r[4])
    assert row[5] in ("'=1+1", '')
