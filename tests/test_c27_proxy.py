"""Projects that are caches of another registry: Debian's docker-registry, a second Strata, and peers that fail or lie."""
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import time

import pytest
import requests

from conftest import Strata, free_port, wait_for
from test_c20_registry import OCI_INDEX, OCI_MANIFEST, Registry, command, need, sha
from test_c23_replication import Liar, Side, subject_of

V1 = '/api/v1/'


@pytest.fixture(scope='module')
def pair(scratch):
    """A server with caches, and another one that it knows as "peer"."""
    made = []
    for _ in range(2):
        state = pathlib.Path(tempfile.mkdtemp(prefix='proxy-', dir=scratch)) / 'state'
        made.append(Side(Strata(state).start()))
    made[0].knows(made[1])
    yield made
    r = made[0].strata.cli('registry', 'fsck', '--deep', '--json')
    assert r.returncode == 0, r.stdout
    for side in made:
        side.strata.stop()
        side.strata.check_log()


@pytest.fixture
def name(request):
    name = request.node.name
    return re.sub('[^a-z0-9]+', '-', name.removeprefix('test_'))[:24].strip('-') + '-' + sha(name.encode())[-4:]


def cache(side, project, registry='peer', status=201, user='admin', **proxy):
    r = side.api('POST', V1 + 'projects', user=user,
                 json={'name': project, 'proxy': {'registry': registry, **proxy}})
    assert r.status_code == status, r.text
    return r.json()


def manifest(side, repo, ref, method='GET', **kwargs):
    return side.registry(method, f'/v2/{repo}/manifests/{ref}', **kwargs)


def blob(side, repo, digest):
    return side.registry('GET', f'/v2/{repo}/blobs/{digest}')


def whole(side, repo, ref):
    """Pulls an image as a client does; its digest."""
    r = manifest(side, repo, ref)
    assert r.status_code == 200, r.text
    body = r.json()
    for d in body.get('layers', []) + ([body['config']] if 'config' in body else []):
        got = blob(side, repo, d['digest'])
        assert got.status_code == 200 and sha(got.content) == d['digest'], got.text
    return r.headers['Docker-Content-Digest']


class Upstream(Liar):
    """A registry of one image that counts what it is asked."""

    def paths(self, kind, method='GET'):
        return [p for m, p in self.asked if m == method and f'/{kind}/' in p]


@pytest.fixture
def upstream(pair, name):
    u = Upstream()
    pair[0].remote(name, u.url)
    yield u
    u.server.shutdown()


def test_what_is_missing_is_fetched_once_and_kept(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name)
    digest = whole(side, repo, 'v1')
    assert digest == sha(upstream.manifest)
    for _ in range(3):
        assert whole(side, repo, 'v1') == digest and whole(side, repo, digest) == digest
    assert upstream.paths('manifests') == ['/v2/x/app/manifests/v1'] and not upstream.paths('manifests', 'HEAD')
    assert sorted(upstream.paths('blobs')) == sorted(f'/v2/x/app/blobs/{d}' for d in upstream.blobs)
    rows = side.api('GET', f'{V1}projects/{name}/repositories').json()['items']
    assert [(r['name'], r['tags']) for r in rows] == [('x/app', 1)]
    tag = side.api('GET', f'{V1}projects/{name}/repositories/x/app/tags').json()['items'][0]
    assert tag['platform'] == 'linux/amd64' and tag['size_bytes'] > 100_000
    quota = side.api('GET', f'{V1}projects/{name}/quota').json()
    assert quota['used_bytes'] == len(upstream.manifest) + sum(map(len, upstream.blobs.values()))


def test_many_at_once_share_one_fetch(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name)
    gate, waiting = threading.Event(), []

    def slow(h, kind):
        if kind in ('manifest', 'blob'):
            waiting.append(h.path)
            gate.wait(30)
        return False
    upstream.fault = slow
    results = []
    threads = [threading.Thread(target=lambda: results.append(whole(side, repo, 'v1'))) for _ in range(8)]
    for t in threads:
        t.start()
    wait_for(lambda: waiting, 20, 'the other registry is asked')
    gate.set()
    for t in threads:
        t.join(60)
    assert results == [sha(upstream.manifest)] * 8
    asked = upstream.paths('manifests') + upstream.paths('blobs')
    assert len(asked) == len(set(asked)) == 3, asked


def test_a_tag_is_asked_again_by_head_after_its_time(pair, name):
    here, there = pair
    there.strata.project(name)
    first, _ = there.registry.image(f'{name}/app', 'v1')
    cache(here, name + '-c', ttl_seconds=0)
    repo = f'{name}-c/{name}/app'
    assert whole(here, repo, 'v1') == first
    second, _ = there.registry.image(f'{name}/app', 'v1', os.urandom(1000))
    assert manifest(here, repo, 'v1', 'HEAD').headers['Docker-Content-Digest'] == second
    assert whole(here, repo, 'v1') == second and whole(here, repo, first) == first
    # With a long time the old one stays.
    r = here.api('PATCH', f'{V1}projects/{name}-c', json={'proxy': {'ttl_seconds': 3600}})
    assert r.status_code == 200 and r.json()['proxy'] == {'registry': 'peer', 'ttl_seconds': 3600}
    third, _ = there.registry.image(f'{name}/app', 'v1', os.urandom(1000))
    assert whole(here, repo, 'v1') == second and third != second
    assert manifest(here, repo, 'none').status_code == 404
    assert manifest(here, f'{name}-c/{name}/none', 'v1').status_code == 404


@pytest.mark.parametrize('status', [429, 401, 403, 500, 503, 'cut', 'hang'])
def test_what_is_here_is_served_whatever_the_other_says(pair, upstream, name, status):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name, ttl_seconds=0)
    digest = whole(side, repo, 'v1')
    stop = threading.Event()

    def fault(h, kind):
        if status == 'cut':
            h.close_connection = True
            return True
        if status == 'hang':
            stop.wait(60)
            return True
        upstream.send(h, status, **({'Retry_After': '1'} if status == 429 else {}))
        return True
    upstream.fault = fault
    assert whole(side, repo, 'v1') == digest
    other = manifest(side, repo, 'v2') if status != 'hang' else None
    if other is not None:
        assert other.status_code == {429: 429, 403: 403}.get(status, 503), other.text
        assert other.json()['errors'][0]['message']
    stop.set()
    upstream.fault = None


def test_an_index_is_filled_as_it_is_asked_for(pair, name):
    here, there = pair
    there.strata.project(name)
    reg, repo = there.registry, f'{name}/app'
    a, abody = reg.image(repo, None)
    b, bbody = reg.image(repo, None, architecture='arm64')
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': len(m), 'platform': {'os': 'linux', 'architecture': arch}}
        for d, m, arch in ((a, abody, 'amd64'), (b, bbody, 'arm64'))]}).encode()
    reg.manifest(repo, 'multi', index, OCI_INDEX)
    signature = there.artifact(repo, None, {**subject_of(sha(index), len(index)), 'mediaType': OCI_INDEX})
    cache(here, name + '-c', ttl_seconds=0)
    mine = f'{name}-c/{repo}'
    assert manifest(here, mine, 'multi').content == index
    assert here.digest(mine, 'multi') == sha(index)
    assert whole(here, mine, a) == a
    assert here.referrers(mine, sha(index)) == [signature]
    there.strata.stop()
    try:
        assert whole(here, mine, a) == a and manifest(here, mine, 'multi').content == index
        assert here.referrers(mine, sha(index)) == [signature]
        assert manifest(here, mine, b).status_code == 503
    finally:
        there.strata.start()
    here.strata.stop()
    here.strata.start()
    here.registry = Registry(here.strata)
    # The port of the other one is another one now.
    r = here.api('PATCH', V1 + 'registries/peer', json={'url': there.strata.url})
    assert r.status_code == 200, r.text
    there.registry = Registry(there.strata)
    assert whole(here, mine, b) == b and whole(here, mine, a) == a
    # What goes takes all with it that was fetched for it.
    assert here.api('DELETE', f'{V1}projects/{name}-c/repositories/{repo}/tags/multi').status_code == 204
    assert here.api('GET', f'{V1}projects/{name}-c/quota').json()['used_bytes'] == 0


def test_nothing_is_pushed_into_a_cache(pair, upstream, name):
    side = pair[0]
    cache(side, name, registry=name)
    for method, path in (('POST', f'/v2/{name}/x/app/blobs/uploads/'), ('PUT', f'/v2/{name}/x/app/manifests/v9')):
        r = side.registry(method, path, data=upstream.manifest, headers={'Content-Type': OCI_MANIFEST})
        assert r.status_code == 403 and r.json()['errors'][0]['code'] == 'DENIED', r.text
        assert 'is a cache of the registry' in r.json()['errors'][0]['message']
    # Nor by replication.
    side.rule(name, 'pull', registry=name, repositories='x/app', destination=name)
    run = side.ended(side.start(name))
    assert run['state'] == 'failed' and 'cache' in side.tasks(run)[0]['error']
    r = side.api('DELETE', f'{V1}registries/{name}')
    assert r.status_code == 409


def test_a_lying_registry_is_not_believed(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name)

    def other_bytes(h, kind):
        if kind == 'blob':
            upstream.send(h, 200, b'x' * len(upstream.blobs[h.path.rsplit('/', 1)[1]]))
            return True
        return False
    upstream.fault = other_bytes
    r = manifest(side, repo, 'v1')
    assert r.status_code == 200
    assert blob(side, repo, upstream.layer).status_code == 503
    upstream.fault = lambda h, kind: kind == 'blob' and (upstream.endless(h), True)[1]
    assert blob(side, repo, upstream.layer).status_code == 503
    upstream.fault = lambda h, kind: kind == 'manifest' and (
        upstream.send(h, 200, b'{}', Content_Type=OCI_MANIFEST, Docker_Content_Digest=sha(b'x')), True)[1]
    assert manifest(side, repo, 'v2').status_code == 503
    assert manifest(side, repo, sha(b'other')).status_code == 503
    upstream.fault = None
    assert whole(side, repo, 'v1') == sha(upstream.manifest)
    assert blob(side, repo, sha(b'never named')).status_code == 404


def test_the_quota_holds_for_a_cache(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name)
    side.api('PUT', f'{V1}projects/{name}/quota', json={'quota_bytes': 50_000})
    assert manifest(side, repo, 'v1').status_code == 200
    r = blob(side, repo, upstream.layer)
    assert r.status_code == 403 and r.json()['errors'][0]['code'] == 'DENIED', r.text


def test_a_kill_in_a_fetch_costs_only_the_rest(own_strata, name):
    there, here = Side(own_strata().start()), Side(own_strata().start())
    there.strata.project(name)
    digest, body = there.registry.image(f'{name}/app', 'v1', os.urandom(40 << 20))
    here.knows(there)
    cache(here, name)
    repo = f'{name}/{name}/app'
    assert manifest(here, repo, 'v1').status_code == 200
    layer = json.loads(body)['layers'][0]['digest']

    def pull():
        try:
            blob(here, repo, layer)
        except requests.RequestException:
            pass
    t = threading.Thread(target=pull)
    t.start()
    here.strata.kill()
    t.join(30)
    here.strata.start()
    here.registry = Registry(here.strata)
    assert whole(here, repo, 'v1') == digest


# --- large blobs: served while they are fetched ---

BIG = 3 << 20


class Slow(Upstream):
    """A registry of one image with a large layer, which it gives piece by piece as it is allowed to."""

    def __init__(self):
        super().__init__()
        self.allow, self.honest, self.ranges = threading.Semaphore(0), True, []
        self.data = os.urandom(BIG)
        self.big = sha(self.data)
        self.blobs[self.big] = self.data
        body = json.loads(self.manifest)
        body['layers'][0].update(digest=self.big, size=BIG)
        self.manifest = json.dumps(body).encode()
        self.fault = self.drip

    def drip(self, h, kind):
        if kind != 'blob' or self.big not in h.path or h.command == 'HEAD':
            return False
        self.ranges.append(h.headers.get('Range'))
        begin = int(self.ranges[-1][6:-1]) if self.ranges[-1] else 0
        data = self.data if self.honest else self.data[:-1] + bytes([self.data[-1] ^ 1])
        h.send_response(206 if begin else 200)
        h.send_header('Content-Length', str(BIG - begin))
        h.end_headers()
        for at in range(begin, BIG, BIG // 3):
            self.allow.acquire(timeout=60)
            h.wfile.write(data[at:min(at + BIG // 3, BIG)])
            h.wfile.flush()
        return True

    def give(self, thirds):
        for _ in range(thirds):
            self.allow.release()


@pytest.fixture
def slow(pair, name):
    u = Slow()
    pair[0].remote(name, u.url)
    cache(pair[0], name, registry=name)
    assert manifest(pair[0], f'{name}/x/app', 'v1').status_code == 200
    yield u
    u.give(100)
    u.server.shutdown()


def begin_pull(side, repo, digest, **headers):
    """A client that reads as it likes: r.raw.read(n)."""
    r = side.registry('GET', f'/v2/{repo}/blobs/{digest}', stream=True, headers=headers, timeout=60)
    assert r.status_code in (200, 206), r.text
    return r


def rest_of(r):
    """What there is until the end or the cut."""
    got = b''
    try:
        while piece := r.raw.read(65536):
            got += piece
    except Exception:
        pass
    return got


def test_a_blob_is_served_while_it_is_fetched(pair, slow, name):
    side, repo = pair[0], f'{name}/x/app'
    slow.give(1)
    first = begin_pull(side, repo, slow.big)
    assert first.headers['Content-Length'] == str(BIG)
    assert first.raw.read(BIG // 3) == slow.data[:BIG // 3]
    # Others follow the same fetch: one from the middle, one that does not read, one that goes away.
    others = [begin_pull(side, repo, slow.big) for _ in range(3)]
    middle = begin_pull(side, repo, slow.big, Range=f'bytes={BIG // 4}-{BIG - 1000}')
    assert middle.status_code == 206 and middle.headers['Content-Range'] == f'bytes {BIG // 4}-{BIG - 1000}/{BIG}'
    assert middle.raw.read(1000) == slow.data[BIG // 4:BIG // 4 + 1000]
    others.pop().close()
    slow.give(1)
    assert first.raw.read(BIG // 3) == slow.data[BIG // 3:BIG // 3 * 2]
    slow.give(1)
    assert first.raw.read() == slow.data[BIG // 3 * 2:]
    assert middle.raw.read() == slow.data[BIG // 4 + 1000:BIG - 999]
    assert all(r.raw.read() == slow.data for r in others)
    assert blob(side, repo, slow.big).content == slow.data
    assert slow.paths('blobs').count(f'/v2/x/app/blobs/{slow.big}') == 1


def test_the_fetch_goes_on_when_nobody_waits_for_it(pair, slow, name):
    side, repo = pair[0], f'{name}/x/app'
    slow.give(1)
    r = begin_pull(side, repo, slow.big)
    assert r.raw.read(1000) == slow.data[:1000]
    r.close()
    slow.give(2)
    tag = lambda: side.api('GET', f'{V1}projects/{name}/quota').json()['used_bytes']
    wait_for(lambda: tag() > BIG, 20, 'the blob is here')
    assert blob(side, repo, slow.big).content == slow.data
    assert len(slow.ranges) == 1


def test_a_digest_that_lies_ends_in_a_cut(pair, slow, name):
    side, repo = pair[0], f'{name}/x/app'
    slow.honest = False
    slow.give(1)
    whole_one = begin_pull(side, repo, slow.big)
    part = begin_pull(side, repo, slow.big, Range='bytes=0-99')
    slow.give(2)
    assert len(rest_of(whole_one)) < BIG and len(rest_of(part)) < 100
    slow.honest = True
    slow.give(3)
    # Nothing of it was kept: it is fetched from its first byte on.
    assert blob(side, repo, slow.big).content == slow.data
    assert slow.ranges == [None, None]


def test_a_manifest_that_says_another_size_cuts_nothing_off(pair, slow, name):
    side, repo = pair[0], f'{name}/x/app'
    body = json.loads(slow.manifest)
    body['layers'][0]['size'] = BIG - 1000
    slow.manifest, honest = json.dumps(body).encode(), slow.manifest
    assert manifest(side, f'{name}/x/other', 'v1').status_code == 200
    slow.manifest = honest
    slow.give(1)
    first, got = begin_pull(side, repo, slow.big), []
    other = threading.Thread(target=lambda: got.append(blob(side, f'{name}/x/other', slow.big)))
    other.start()
    slow.give(2)
    assert first.raw.read() == slow.data
    other.join(60)
    assert got[0].content == slow.data and slow.ranges == [None]


def test_a_cut_there_is_gone_on_with_behind_the_clients_back(pair, slow, name):
    side, repo = pair[0], f'{name}/x/app'
    drip = slow.fault

    def cut(h, kind):
        if kind != 'blob' or slow.ranges or h.command == 'HEAD':
            return drip(h, kind)
        slow.ranges.append(None)
        h.send_response(200)
        h.send_header('Content-Length', str(BIG))
        h.end_headers()
        h.wfile.write(slow.data[:BIG // 2])
        h.wfile.flush()
        h.close_connection = True
        return True
    slow.fault = cut
    slow.give(3)
    assert begin_pull(side, repo, slow.big).raw.read() == slow.data
    assert slow.ranges[0] is None and slow.ranges[1].startswith('bytes=')


# --- what one registry or repository does to others ---

def layers(upstream, n):
    """Gives its image n small layers of their own; their digests."""
    more = [os.urandom(1000) for _ in range(n)]
    upstream.blobs.update({sha(data): data for data in more})
    body = json.loads(upstream.manifest)
    body['layers'] += [{**body['layers'][0], 'digest': sha(data), 'size': len(data)} for data in more]
    upstream.manifest = json.dumps(body).encode()
    return [sha(data) for data in more]


def test_a_registry_that_hangs_leaves_the_others_their_threads(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    digests, good = layers(upstream, 120), Upstream()
    cache(side, name, registry=name)
    side.remote(name + '-good', good.url)
    cache(side, name + '-good', registry=name + '-good')
    assert manifest(side, repo, 'v1').status_code == 200
    stop, results = threading.Event(), []
    asked = lambda: [p for p in upstream.paths('blobs') if p.rsplit('/', 1)[1] in digests]

    def hang(h, kind):
        if kind == 'blob':
            stop.wait(90)
        return False
    upstream.fault = hang
    threads = [threading.Thread(target=lambda d=d: results.append(blob(side, repo, d))) for d in digests]
    for t in threads:
        t.start()
    # Part of them wait for their turn, the others hear at once that too many do.
    wait_for(lambda: len(results) >= 24 and len(asked()) >= 16, 30, 'the registry has its share')
    assert all(r.status_code == 503 and name in r.json()['errors'][0]['message'] for r in results), results
    assert len(asked()) == 16 and len(results) == 24
    assert whole(side, f'{name}-good/x/app', 'v1') == sha(good.manifest)
    stop.set()
    for t in threads:
        t.join(90)
    done = [r for r in results if r.status_code == 200]
    assert len(done) == 96 and len({sha(r.content) for r in done} & set(digests)) == 96
    good.server.shutdown()


@pytest.mark.parametrize('size', [1000, 1 << 20])
def test_the_failure_of_another_repository_is_not_ours(pair, upstream, name, size):
    side = pair[0]
    cache(side, name, registry=name)
    data = os.urandom(size)
    digest = sha(data)
    upstream.blobs[digest] = data
    body = json.loads(upstream.manifest)
    body['layers'][0].update(digest=digest, size=size)
    upstream.manifest = json.dumps(body).encode()
    for repo in ('x/app', 'x/hostile'):
        assert manifest(side, f'{name}/{repo}', 'v1').status_code == 200
    asked, gate, results = [], threading.Event(), {}

    def fault(h, kind):
        if kind != 'blob' or not h.path.endswith(digest):
            return False
        asked.append(h.path)
        if '/x/hostile/' not in h.path:
            return False
        gate.wait(30)
        upstream.send(h, 404)
        return True
    upstream.fault = fault

    def pull(key, repo):
        results[key] = blob(side, f'{name}/{repo}', digest)
    threads = [threading.Thread(target=pull, args=('hostile', 'x/hostile'))]
    threads[0].start()
    wait_for(lambda: asked, 20, 'the hostile repository is asked')
    threads += [threading.Thread(target=pull, args=(i, 'x/app')) for i in range(4)]
    for t in threads[1:]:
        t.start()
    threads[-1].join(1)  # they board the hostile flight, or come after it: both must do
    assert asked == [f'/v2/x/hostile/blobs/{digest}']
    gate.set()
    for t in threads:
        t.join(60)
    assert results.pop('hostile').status_code == 404
    assert [r.content == data for r in results.values()] == [True] * 4, results
    assert asked == [f'/v2/x/hostile/blobs/{digest}', f'/v2/x/app/blobs/{digest}']


# --- questions that need no answer's body ---

def test_head_fetches_nothing(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name)
    for _ in range(3):
        r = manifest(side, repo, 'v1', 'HEAD')
        assert r.status_code == 200 and r.headers['Content-Length'] == str(len(upstream.manifest))
        assert r.headers['Content-Type'] == OCI_MANIFEST
        assert r.headers['Docker-Content-Digest'] == sha(upstream.manifest)
    assert upstream.paths('manifests') == [] and len(upstream.paths('manifests', 'HEAD')) == 1
    # As docker does it: HEAD of the tag, GET of the digest. The tag is known then.
    assert manifest(side, repo, sha(upstream.manifest)).content == upstream.manifest
    assert side.tags(repo) == ['v1']
    r = side.registry('HEAD', f'/v2/{repo}/blobs/{upstream.layer}')
    assert r.status_code == 200 and r.headers['Content-Length'] == '100000'
    assert f'/v2/x/app/blobs/{upstream.layer}' not in upstream.paths('blobs')
    assert side.registry('HEAD', f'/v2/{repo}/blobs/{sha(b"none")}').status_code == 404
    upstream.fault = lambda h, kind: h.command == 'HEAD' and (upstream.send(h, 405), True)[1]
    r = manifest(side, repo, 'v2', 'HEAD')
    assert r.status_code == 200 and r.headers['Docker-Content-Digest'] == sha(upstream.manifest)
    upstream.fault = lambda h, kind: h.command == 'HEAD' and (upstream.send(h, 404), True)[1]
    assert manifest(side, repo, 'v3', 'HEAD').status_code == 404
    assert side.registry('HEAD', f'/v2/{repo}/blobs/{upstream.layer}').status_code == 404


def test_who_asks_to_be_left_alone_is(pair, upstream, name):
    side, repo = pair[0], f'{name}/x/app'
    cache(side, name, registry=name, ttl_seconds=0)
    digest = whole(side, repo, 'v1')
    upstream.fault = lambda h, kind: (upstream.send(h, 429, Retry_After='600'), True)[1]
    results = []
    threads = [threading.Thread(target=lambda i=i: results.append(manifest(side, repo, f'new{i}'))) for i in range(12)]
    before = upstream.count
    assert manifest(side, repo, 'v2').status_code == 429
    for t in threads:
        t.start()
    for t in threads:
        t.join(60)
    assert [r.status_code for r in results] == [429] * 12
    assert all(500 < int(r.headers['Retry-After']) <= 600 for r in results)
    assert manifest(side, repo, 'v3', 'HEAD').status_code == 429
    assert whole(side, repo, 'v1') == digest
    assert upstream.count == before + 1, upstream.asked
    # Told of another address or password, it is asked again.
    upstream.fault = None
    assert side.api('PATCH', f'{V1}registries/{name}', json={'url': upstream.url + '/'}).status_code == 200
    assert whole(side, repo, 'v2') == digest


def test_only_administrators_make_caches(pair, name):
    side = pair[0]
    side.strata.user(name)
    cache(side, name, status=403, user=name)
    cache(side, name, registry='unknown', status=404)
    cache(side, name, ttl_seconds=-1, status=400)
    cache(side, name)
    side.api('PUT', f'{V1}projects/{name}/members/{name}', json={'role': 'maintainer'})
    r = side.api('PATCH', f'{V1}projects/{name}', user=name, json={'proxy': {'ttl_seconds': 5}})
    assert r.status_code == 403
    r = side.api('PATCH', f'{V1}projects/library', json={'proxy': {'ttl_seconds': 5}})
    assert r.status_code == 409
    assert side.api('GET', f'{V1}projects/{name}').json()['proxy'] == {'registry': 'peer', 'ttl_seconds': 600}


def test_the_command_line_makes_a_cache(pair, name):
    side = pair[0]
    r = side.strata.cli('project', 'create', name, '--proxy', 'peer', '--proxy-ttl', '5m', check=True)
    assert name in r.stdout
    assert side.api('GET', f'{V1}projects/{name}').json()['proxy'] == {'registry': 'peer', 'ttl_seconds': 300}
    assert 'peer' in side.strata.cli('project', 'list', check=True).stdout
    side.strata.cli('project', 'set', name, '--proxy-ttl', '1h', '--description', 'images of the others', check=True)
    shown = side.api('GET', f'{V1}projects/{name}').json()
    assert shown['proxy']['ttl_seconds'] == 3600 and shown['description'] == 'images of the others'


def serve_distribution(scratch, more=''):
    """docker-registry 2.8 on loopback: url, and a function that ends it."""
    need('docker-registry')
    root = pathlib.Path(tempfile.mkdtemp(prefix='distribution-', dir=scratch))
    port = free_port()
    (root / 'config.yml').write_text(
        f'version: 0.1\nlog:\n  level: error\nstorage:\n  filesystem:\n    rootdirectory: {root}/data\n'
        f'http:\n  addr: 127.0.0.1:{port}\n{more}')
    with open(root / 'log', 'wb') as log:
        process = subprocess.Popen(['docker-registry', 'serve', root / 'config.yml'], stdout=log, stderr=log)

    def up():
        try:
            return requests.get(f'http://127.0.0.1:{port}/v2/', timeout=5).status_code in (200, 401)
        except requests.RequestException:
            return False
    wait_for(up, 30, 'docker-registry answers')

    def end():
        if process.poll() is None:
            process.terminate()
            process.wait(10)
    return f'http://127.0.0.1:{port}', end


@pytest.fixture
def distribution(scratch):
    url, end = serve_distribution(scratch)
    yield url, end
    end()


class Forward(Upstream):
    """A proxy of http_proxy that knows one name."""

    def __init__(self, to):
        super().__init__()
        self.to, self.hosts, self.bearers = to, set(), 0

    def answer(self, h):
        host, path = re.fullmatch(r'http://([^/]+)(/.*)', h.path).groups()
        self.hosts.add(host)
        self.bearers += h.headers.get('Authorization', '').startswith('Bearer ')
        headers = {k: v for k, v in h.headers.items() if k in ('Accept', 'Authorization', 'Range')}
        r = requests.request(h.command, self.to + path, headers=headers, timeout=30)
        kept = ('Content-Type', 'Docker-Content-Digest', 'WWW-Authenticate', 'Content-Range')
        if h.command == 'HEAD':
            h.send_response(r.status_code)
            for key in (*kept, 'Content-Length'):
                if key in r.headers:
                    h.send_header(key, r.headers[key])
            h.end_headers()
            return
        self.send(h, r.status_code, r.content, **{k.replace('-', '_'): r.headers[k] for k in kept if k in r.headers})


def test_docker_hub_behind_its_token_service_and_a_proxy(own_strata, scratch, monkeypatch):
    issuer = Side(own_strata().start())
    cert = pathlib.Path(tempfile.mkdtemp(prefix='issuer-', dir=scratch)) / 'cert.pem'
    command('openssl', 'req', '-x509', '-key', issuer.strata.state / 'registry.key', '-subj', '/CN=issuer', '-days', '2',
            '-out', cert)
    url, end = serve_distribution(scratch, f'auth:\n  token:\n    realm: {issuer.strata.url}/service/token\n'
                                  f'    service: strata\n    issuer: strata\n    rootcertbundle: {cert}\n')
    proxy = Forward(url)
    try:
        image = Registry(issuer.strata).image('library/alpine', 'v1')[0]
        host, there = issuer.strata.url.removeprefix('http://'), url.removeprefix('http://')
        creds = f'admin:{issuer.strata.admin_password}'
        command('skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false', '--src-creds', creds,
                '--dest-creds', creds, '--format', 'oci', f'docker://{host}/library/alpine:v1', f'docker://{there}/library/alpine:v1')
        monkeypatch.setenv('http_proxy', proxy.url)
        monkeypatch.setenv('no_proxy', '127.0.0.1')
        here = Side(own_strata().start())
        here.remote('hub', 'http://registry-1.docker.io', user='admin', password=issuer.strata.admin_password)
        cache(here, 'hub', registry='hub')
        assert here.digest('hub/alpine', 'v1') == image
        assert whole(here, 'hub/alpine', 'v1') == whole(here, 'hub/library/alpine', 'v1') == image
        assert manifest(here, 'hub/other/alpine', 'v1').status_code in (403, 404)
        assert proxy.hosts == {'registry-1.docker.io'} and proxy.bearers > 3
        # Addresses that are denied are not asked for through it.
        here.remote('keys', 'http://169.254.169.254')
        cache(here, 'keys', registry='keys')
        r = manifest(here, 'keys/latest', 'v1')
        assert r.status_code == 403 and 'net.outbound_deny' in r.text
        assert proxy.hosts == {'registry-1.docker.io'}
    finally:
        proxy.server.shutdown()
        end()


def test_real_clients_and_a_job_pull_through(strata, distribution, name, scratch):
    url, end = distribution
    side = Side(strata)
    side.remote(name, url)
    cache(side, name, registry=name, ttl_seconds=0)
    assert strata.busybox == 'demo/busybox:1'
    host, there = strata.url.removeprefix('http://'), url.removeprefix('http://')
    creds = f'admin:{strata.admin_password}'
    command('skopeo', 'copy', '--src-tls-verify=false', '--src-creds', creds, '--dest-tls-verify=false',
            f'docker://{host}/demo/busybox:1', f'docker://{there}/tools/busybox:1')
    # A job fetches what it needs, and runs from it.
    job = strata.submit(name, {'image': f'{name}/tools/busybox:1', 'command': ['echo', 'through the cache']})
    assert strata.wait_job(name, job['id'])['state'] == 'succeeded'
    assert 'through the cache' in strata.job_log(name, job['id'])
    end()
    out = pathlib.Path(tempfile.mkdtemp(prefix='pulled-', dir=scratch))
    command('skopeo', 'copy', '--src-tls-verify=false', '--src-creds', creds,
            f'docker://{host}/{name}/tools/busybox:1', f'dir:{out}')
    assert (out / 'manifest.json').is_file()
    job = strata.submit(name, {'image': f'{name}/tools/busybox:1', 'command': ['true']})
    assert strata.wait_job(name, job['id'])['state'] == 'succeeded'
    if shutil.which('podman'):
        podman = ['podman', '--root', out / 'cs', '--runroot', out / 'csr', '--storage-driver', 'vfs',
                  '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--tmpdir', out / 'pt']
        command(*podman, 'pull', '--tls-verify=false', '--creds', creds, f'{host}/{name}/tools/busybox:1',
                env={'HOME': str(out)})
