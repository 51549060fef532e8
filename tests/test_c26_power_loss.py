"""What is acknowledged survives a power loss: the system calls of a real server are written down while clients push and delete; then, for the
moment before each answer, the state directory is made again from nothing but what had been synced by then, and a server starts on it."""
import json
import os
import pathlib
import re
import shutil
import signal
import tempfile
import threading

import pytest

from conftest import wait_for
from power_loss import LEAST, MIXED, NAMES, Disk, compare, strace
from test_c20_registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, sha
from test_c25_registry_fsck import CONFIG, blob_path, database, fsck, owner

OTHERS = ('state/jobs', 'state/rootfs', 'state/volumes')  # of root, and no part of the registry

pytestmark = pytest.mark.skipif(not shutil.which('strace'), reason='strace is not installed')


class Promises(Registry):
    """A client that writes down what each success promised: {('blob', repo, digest): whether it is there, ('tag', repo, name): its digest or None}."""

    def __init__(self, strata):
        super().__init__(strata)
        self.made = {}  # of a request, by its id

    def ask(self, method, path, promise, status, **kwargs):
        r = self(method, path, **kwargs)
        assert r.status_code == status, f'{method} {path}: {r.status_code} {r.text}'
        self.made[r.headers['X-Request-Id']] = promise
        return r

    def push(self, repo, tag, size=3000):
        layer, config = os.urandom(size), CONFIG
        for data in (layer, config):
            self.ask('PUT', self.upload(repo), {('blob', repo, sha(data)): True}, 201, params={'digest': sha(data)}, data=data)
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
                           'config': {'mediaType': OCI_CONFIG, 'digest': sha(config), 'size': len(config)},
                           'layers': [{'mediaType': OCI_LAYER, 'digest': sha(layer), 'size': size}]}).encode()
        self.ask('PUT', f'/v2/{repo}/manifests/{tag}', {('tag', repo, tag): sha(body)}, 201, data=body, headers={'Content-Type': OCI_MANIFEST})
        return sha(body), sha(layer)


def traced(strata, log):
    """The server under strace; ends with its trace."""
    run = log.with_name('traced')
    run.write_text('#!/bin/sh\nexec ' + ' '.join(strace(log)) + f' {strata.binary} "$@"\n')
    run.chmod(0o755)
    real, strata.binary = strata.binary, str(run)
    options = os.environ.get('ASAN_OPTIONS')
    if options:
        os.environ['ASAN_OPTIONS'] = options + ':detect_leaks=0'  # it cannot look for leaks where strace looks too
    try:
        return strata.start()
    finally:
        strata.binary = real
        if options:
            os.environ['ASAN_OPTIONS'] = options


def holds(strata, promised):
    registry = Registry(strata)
    for (kind, repo, name), value in promised.items():
        if kind == 'blob':
            r = registry('GET', f'/v2/{repo}/blobs/{name}')
            assert (r.status_code == 200 and sha(r.content, name.split(':')[0]) == name) if value else r.status_code == 404, (repo, name, value, r)
        else:
            r = registry('GET', f'/v2/{repo}/manifests/{name}')
            assert (r.status_code == 200 and sha(r.content) == value) if value else r.status_code == 404, (repo, name, value, r)


def lose_power(own_strata, real, disk, log, made):
    """Before every answer that promised something, and what is left then holds it. How many there were."""
    promised, seen = {}, 0
    for sent in disk.replay(log):
        asked = re.search(rb'X-Request-Id: (\S+)\r\n', sent)
        promise = asked and made.get(asked.group(1).decode())
        if promise is None:
            continue
        promised.update(promise)
        seen += 1
        for loss in ((LEAST,), (LEAST, NAMES), (LEAST,), (LEAST, MIXED))[seen % 4]:
            folder = pathlib.Path(tempfile.mkdtemp(prefix='lost-', dir=disk.root.parent))
            folder.chmod(0o755)
            disk.rebuild(folder / 'root', loss, owner(real), seed=seen)
            strata = own_strata(state=folder / 'root' / 'state')
            try:
                strata.start()
                holds(strata, promised)
                fsck(strata, '--deep', code=0)
                strata.stop()
            except BaseException as e:
                raise AssertionError(f'{loss} of what was synced before answer {seen}: {sorted(promise)}') from e
            shutil.rmtree(folder)
    return seen


@pytest.fixture
def place(scratch):
    folder = pathlib.Path(tempfile.mkdtemp(prefix='power-', dir=scratch))
    folder.chmod(0o755)
    (folder / 'root').mkdir()
    return folder


def work(strata, registry):
    """Everything by which clients change a registry."""
    first, layer = registry.push('demo/app', 'v1')
    again, _ = registry.push('demo/app', 'v1')  # the tag moves
    big = os.urandom(700_000)
    session = registry.upload('demo/app')
    registry.ask('PATCH', session, {}, 202, data=big[:300_000], headers={'Content-Range': '0-299999'})
    os.kill(strata.pids()['server'], signal.SIGKILL)
    strata.wait_ready()
    have = int(registry('GET', session).headers['Range'].split('-')[1]) + 1
    registry.ask('PATCH', session, {}, 202, data=big[have:600_000], headers={'Content-Range': f'{have}-599999'})
    registry.ask('PUT', session, {('blob', 'demo/app', sha(big)): True}, 201, params={'digest': sha(big)}, data=big[600_000:])
    long = os.urandom(5000)
    registry.ask('PUT', registry.upload('demo/app'), {('blob', 'demo/app', sha(long, 'sha512')): True}, 201,
                 params={'digest': sha(long, 'sha512')}, data=long)
    registry.ask('POST', '/v2/demo/two/blobs/uploads/', {('blob', 'demo/two', layer): True}, 201, params={'mount': layer, 'from': 'demo/app'})
    registry.ask('PUT', registry.upload('demo/three'), {('blob', 'demo/three', sha(big)): True}, 201, params={'digest': sha(big)}, data=big)  # known
    assert registry('DELETE', registry.upload('demo/app')).status_code == 204
    threads = [threading.Thread(target=registry.push, args=(f'demo/side{n}', 'v1')) for n in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    registry.ask('DELETE', '/v2/demo/app/manifests/v1', {('tag', 'demo/app', 'v1'): None}, 202)
    registry.ask('DELETE', f'/v2/demo/app/manifests/{first}', {('tag', 'demo/app', first): None, ('tag', 'demo/app', again): again}, 202)
    registry.ask('DELETE', f'/v2/demo/three/blobs/{sha(big)}', {('blob', 'demo/three', sha(big)): False}, 202)
    item = strata.api('GET', '/api/v1/projects/demo/trash').json()['items'][-1]
    assert item['tag'] == 'v1', item
    registry.ask('POST', f'/api/v1/projects/demo/trash/{item["id"]}/restore', {('tag', 'demo/app', 'v1'): again}, 200)
    registry.ask('DELETE', '/api/v1/projects/demo/repositories/side0', dict.fromkeys(
        (key for promise in registry.made.values() for key in promise if key[1] == 'demo/side0'), None), 204)
    registry.push('demo/app', 'last')


def untraced(strata, log):
    """Stops the server; what strace saw is on paper."""
    strata.stop()

    def writes():
        for path in pathlib.Path('/proc').glob('[0-9]*/cmdline'):
            try:
                words = path.read_bytes().split(b'\0')
            except (FileNotFoundError, ProcessLookupError):
                continue
            if words[0].endswith(b'strace') and os.fsencode(log) in words:
                return True
        return False
    wait_for(lambda: not writes(), 20, 'strace has written everything')


def test_what_was_synced_before_an_answer_is_what_it_promised(own_strata, place):
    """From the first start of all, on an empty disk."""
    log, strata = place / 'calls', own_strata(state=place / 'root' / 'state')
    disk, strata.log_path = Disk(place / 'root', OTHERS), place / 'messages'
    traced(strata, log)
    strata.project('demo')
    registry = Promises(strata)
    work(strata, registry)
    untraced(strata, log)
    assert lose_power(own_strata, strata, disk, log, registry.made) == len(registry.made)
    assert compare(disk, place / 'root') == []


def test_what_was_synced_before_a_collection_was_told_is_whole(own_strata, place):
    """Rows go before files: whatever is lost, a row has its file, and what was said to be gone stays gone."""
    log, strata = place / 'calls', own_strata(state=place / 'root' / 'state')
    strata.log_path = place / 'messages'
    strata.start()
    strata.project('demo')
    kept = Promises(strata)
    digest, _ = kept.push('demo/app', 'v1')
    gone = [kept.blob('demo/app', os.urandom(1000)) for _ in range(8)]
    strata.stop()
    database(strata, 'UPDATE repository_blobs SET touched_ms = 1 WHERE manifests = 0')
    os.sync()
    disk = Disk(place / 'root', OTHERS)
    traced(strata, log)
    registry = Promises(strata)
    dead = {('blob', 'demo/app', d): False for d in gone} | {('tag', 'demo/app', 'v1'): digest}
    registry.ask('POST', '/api/v1/registry/collect', dead, 200)
    registry.ask('PUT', registry.upload('demo/app'), {('blob', 'demo/app', gone[0]): False}, 400, params={'digest': gone[0]}, data=b'other')
    registry.push('demo/app', 'v2')
    untraced(strata, log)
    assert lose_power(own_strata, strata, disk, log, registry.made) == len(registry.made)
    assert compare(disk, place / 'root') == []
    assert not [d for d in gone if blob_path(strata, d).exists()]
