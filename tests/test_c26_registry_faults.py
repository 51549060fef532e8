"""What is acknowledged survives: the registry is killed at each step of push, replication and collection, its disk fills up, its clock jumps."""
import gzip
import json
import os
import pathlib
import shutil
import subprocess
import tempfile

import pytest
import requests

from conftest import wait_for
from test_c20_registry import OCI_CONFIG, OCI_LAYER, OCI_MANIFEST, Registry, command, need, sha
from test_c23_replication import FAST, Side
from test_c25_registry_fsck import CONFIG, database, fsck, push

needs_strace = pytest.mark.skipif(not shutil.which('strace'), reason='strace is not installed')


def kill_at(strata, call, when):
    """The server dies by SIGKILL at its next such system call; returns when strace has it."""
    pid = strata.pids()['server']
    tracer = subprocess.Popen(['strace', '-f', '-qq', '-o', '/dev/null', '-p', str(pid), '-e', f'trace={call}',
                               '-e', f'inject={call}:signal=KILL:when={when}'], stderr=subprocess.PIPE, text=True)

    def attached():
        try:
            return f'TracerPid:\t{tracer.pid}' in open(f'/proc/{pid}/status').read()
        except (FileNotFoundError, ProcessLookupError):
            return True  # its call has come already
    wait_for(attached, 20, 'strace holds the server')
    return tracer


def detach(tracer):
    tracer.kill()
    tracer.wait(10)


def push_until_death(registry, repo, acknowledged):
    """Pushes images until a request fails; what was acknowledged is in the list."""
    for n in range(20):
        try:
            digest, layers = push(registry, repo, f't{n}', layers=2, size=200000)
            acknowledged.append((f't{n}', digest, layers))
        except (requests.RequestException, AssertionError):
            return
    pytest.fail('the server was not killed')


def check(strata, repo, acknowledged):
    strata.wait_ready()
    registry = Registry(strata)
    for tag, digest, layers in acknowledged:
        r = registry('GET', f'/v2/{repo}/manifests/{tag}')
        assert r.status_code == 200 and sha(r.content) == digest
        for layer in layers:
            assert sha(registry('GET', f'/v2/{repo}/blobs/{layer}').content) == layer
    fsck(strata, '--deep', code=0)
    digest, layers = push(registry, repo, 'again')
    check_one = registry('GET', f'/v2/{repo}/manifests/again')
    assert sha(check_one.content) == digest
    fsck(strata, code=0)


@needs_strace
@pytest.mark.parametrize('call', ['renameat', 'fdatasync', 'fsync', 'pwrite64', 'ftruncate'])
def test_killed_at_each_step_of_a_push(own_strata, call):
    """The supervisor starts the server again; whatever was acknowledged is there, and the store is whole."""
    strata = own_strata().start()
    strata.project('demo')
    for when in (1, 2, 5, 9):
        acknowledged = [('first', *push(Registry(strata), 'demo/app', 'first'))]
        if call == 'ftruncate':
            registry = Registry(strata)
            tracer = kill_at(strata, call, 1)
            with pytest.raises((requests.RequestException, AssertionError)):  # a wrong digest takes the body back
                r = registry('PUT', registry.upload('demo/app'), params={'digest': sha(b'other')}, data=os.urandom(50000))
                assert r.status_code >= 500
        else:
            registry = Registry(strata)
            tracer = kill_at(strata, call, when)
            push_until_death(registry, 'demo/app', acknowledged)
        detach(tracer)
        check(strata, 'demo/app', acknowledged)


@pytest.fixture(scope='module')
def saved(scratch):
    """An image of many layers as skopeo keeps one, so that each thread of the server gets some; and its digest."""
    path = scratch / 'saved'
    path.mkdir()
    layers = []
    for _ in range(48):
        data = gzip.compress(os.urandom(30000))  # or it would be compressed on the way
        (path / sha(data)[7:]).write_bytes(data)
        layers.append({'mediaType': OCI_LAYER, 'digest': sha(data), 'size': len(data)})
    (path / sha(CONFIG)[7:]).write_bytes(CONFIG)
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': OCI_CONFIG, 'digest': sha(CONFIG), 'size': len(CONFIG)},
                       'layers': layers}).encode()
    (path / 'manifest.json').write_bytes(body)
    (path / 'version').write_text('Directory Transport Version: 1.1\n')
    return path, sha(body)


@needs_strace
@pytest.mark.parametrize('call, when', [('renameat', 1), ('renameat', 2), ('fdatasync', 1), ('fdatasync', 3), ('fsync', 1), ('fsync', 3),
                                        ('pwrite64', 1), ('pwrite64', 6)])
def test_a_client_that_lost_its_server_pushes_the_same_again(own_strata, saved, call, when):
    """What half of its first try left does not stand in its way."""
    need('skopeo')
    strata, (path, digest) = own_strata().start(), saved
    strata.project('demo')

    def copy(check=True):
        return command('skopeo', 'copy', '--dest-tls-verify=false', '--dest-creds', f'admin:{strata.admin_password}', f'dir:{path}',
                       f'docker://127.0.0.1:{strata.port}/demo/app:v1', check=check)
    before = strata.pids()['server']
    tracer = kill_at(strata, call, when)
    copy(check=False)
    detach(tracer)
    strata.wait_ready()
    assert strata.pids()['server'] != before, f'no thread came to {call} {when} times'
    copy()
    r = Registry(strata)('GET', '/v2/demo/app/manifests/v1')
    assert r.status_code == 200 and sha(r.content) == digest
    fsck(strata, '--deep', code=0)


WRITES, SENDS = ('renameat', 'fdatasync', 'fsync', 'pwrite64'), ('sendmsg', 'sendfile')


@needs_strace
@pytest.mark.parametrize('direction, victim, call', [
    *(('push', 'target', c) for c in WRITES), *(('push', 'source', c) for c in ('fdatasync', 'pwrite64', 'connect')),
    *(('pull', 'target', c) for c in (*WRITES, 'connect')), *(('pull', 'source', c) for c in SENDS)])
def test_killed_at_each_step_of_a_replication(own_strata, direction, victim, call):
    """What was asked for arrives, by itself or when it is asked for again, and both stores are whole."""
    source, target = Side(own_strata(FAST).start()), Side(own_strata(FAST).start())
    for side in (source, target):
        side.strata.project('demo')
    runs_on, other = (source, target) if direction == 'push' else (target, source)
    runs_on.knows(other)
    runs_on.rule('all', direction, repositories='demo/**')
    dies, kills = (source if victim == 'source' else target).strata, 0
    for when in (1, 2, 4, 7):  # of one thread
        digests = {f'w{when}-{n}': push(source.registry, 'demo/app', f'w{when}-{n}', layers=2, size=200000)[0] for n in range(3)}
        before, run, known = dies.pids()['server'], None, [r['id'] for r in runs_on.runs('all')]
        tracer = kill_at(dies, call, when)
        try:
            run = runs_on.start('all')
        except requests.RequestException:
            assert dies is runs_on.strata

        def over():
            if dies.pids().get('server') != before:  # noqa: B023
                return True
            try:
                return run and runs_on.get(run)['ended_at']  # noqa: B023
            except (requests.RequestException, KeyError):
                return False
        wait_for(over, 60, 'a kill, or the end of the run')
        detach(tracer)
        kills += dies.pids().get('server') != before
        dies.wait_ready()
        if run is None:
            run = next((r for r in runs_on.runs('all') if r['id'] not in known), None)
        if run is None or not runs_on.ended(run, 60) or runs_on.get(run)['state'] != 'succeeded':
            runs_on.run('all')
        for tag, digest in digests.items():
            assert target.digest('demo/app', tag) == digest, (run, runs_on.tasks(run) if run else None)
        for side in (source, target):
            fsck(side.strata, '--deep', code=0)
    assert kills


@needs_strace
@pytest.mark.parametrize('call, when', [('unlinkat', 1), ('unlinkat', 3), ('fsync', 1), ('fsync', 4), ('fdatasync', 1), ('fdatasync', 2)])
def test_killed_at_each_step_of_a_collection(own_strata, call, when):
    strata = own_strata().start()
    strata.project('demo')
    registry = Registry(strata)
    kept = ('kept', *push(registry, 'demo/app', 'kept'))
    gone = [registry.blob('demo/app', os.urandom(1000)) for _ in range(6)]
    strata.stop()
    database(strata, 'UPDATE repository_blobs SET touched_ms = 1 WHERE manifests = 0')
    strata.start()
    registry = Registry(strata)
    strata.token()
    tracer = kill_at(strata, call, when)
    try:
        strata.api('POST', '/api/v1/registry/collect')
    except requests.RequestException:
        pass
    detach(tracer)
    check(strata, 'demo/app', [kept])
    assert strata.api('POST', '/api/v1/registry/collect').status_code == 200
    for digest in gone:
        assert registry('HEAD', f'/v2/demo/app/blobs/{digest}').status_code == 404
        assert not (strata.state / 'blobs/sha256' / digest[7:9] / digest[7:]).exists()
    fsck(strata, '--deep', code=0)


def test_a_full_disk_refuses_a_push_and_keeps_the_rest(own_strata):
    strata = own_strata().start()
    strata.project('demo')
    strata.stop()
    blobs = strata.state / 'blobs'
    owner = blobs.stat()
    shutil.rmtree(blobs)
    blobs.mkdir()
    subprocess.run(['mount', '-t', 'tmpfs', '-o', f'size=24m,mode=750,uid={owner.st_uid},gid={owner.st_gid}', 'tmpfs', blobs], check=True)
    try:
        strata.start()
        registry = Registry(strata)
        digest, layers = push(registry, size=1 << 20)
        for _ in range(2):
            data = os.urandom(40 << 20)
            r = registry('PUT', registry.upload('demo/app'), params={'digest': sha(data)}, data=data)
            assert r.status_code == 507 and 'No space left' in r.text, r.text
            upload = registry.upload('demo/app')
            r = registry('PATCH', upload, data=data)
            assert r.status_code == 507, r.text
            assert registry('DELETE', upload).status_code in (204, 404)  # it may be gone with the disk it filled
        assert sha(registry('GET', '/v2/demo/app/manifests/1').content) == digest
        storage = strata.api('GET', '/api/v1/registry/storage').json()
        fsck(strata, '--deep', code=0)
        assert storage['blobs'] == 3
        push(registry, tag='2', size=1 << 20)
        strata.stop()
    finally:
        subprocess.run(['umount', '-l', blobs], check=True)


def test_a_clock_that_jumps_ends_tokens_and_deletes_nothing_early(own_strata):
    """libfaketime moves the server's wall clock by a file that it reads again and again."""
    library = '/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1'
    if not os.path.exists(library):
        pytest.skip('libfaketime is not installed')
    if os.environ.get('ASAN_OPTIONS'):
        pytest.skip('a sanitizer wants to be the first library')
    strata = own_strata()
    with tempfile.NamedTemporaryFile('w', prefix='strata-clock-', dir='/tmp', delete=False) as f:
        f.write('+0\n')
    stamp = pathlib.Path(f.name)  # where the user strata reads it too
    stamp.chmod(0o644)
    os.environ.update(LD_PRELOAD=library, FAKETIME_TIMESTAMP_FILE=str(stamp), FAKETIME_CACHE_DURATION='0',
                      FAKETIME_DONT_FAKE_MONOTONIC='1')
    try:
        strata.start()
    finally:
        for name in ('LD_PRELOAD', 'FAKETIME_TIMESTAMP_FILE', 'FAKETIME_CACHE_DURATION', 'FAKETIME_DONT_FAKE_MONOTONIC'):
            del os.environ[name]
    strata.project('demo')
    registry = Registry(strata)
    digest, _ = push(registry)
    token = registry.token('repository:demo/app:pull')

    def pulls():
        return registry('GET', '/v2/demo/app/manifests/1', token=token).status_code
    assert pulls() == 200
    stamp.write_text('+1h\n')
    wait_for(lambda: pulls() == 401, 10, 'the token of an hour ago has ended')
    stamp.write_text('-1h\n')
    early = registry.token('repository:demo/app:pull')
    assert registry('GET', '/v2/demo/app/manifests/1', token=early).status_code == 200
    unused = registry.blob('demo/app', b'nobody uses this')
    stamp.write_text('+0\n')
    assert strata.api('POST', '/api/v1/registry/collect').json()['blobs'] == 0
    assert registry('HEAD', f'/v2/demo/app/blobs/{unused}').status_code == 200
    assert sha(registry('GET', '/v2/demo/app/manifests/1').content) == digest
    fsck(strata, '--deep', code=0)
