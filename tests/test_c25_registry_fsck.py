"""The store of images proves itself: what it takes, collecting now, and a check that finds and mends what was broken."""
import http.server
import json
import os
import shutil
import sqlite3
import subprocess
import threading

import pytest

from conftest import wait_for
from test_c20_registry import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, sha

FSCK = '/api/v1/registry/fsck'
CONFIG = b'{"os":"linux","architecture":"amd64"}'


def push(registry, repo='demo/app', tag='1', layers=2, size=2000):
    """An image of random layers; its digest and theirs."""
    config = registry.blob(repo, CONFIG)
    digests = [registry.blob(repo, os.urandom(size)) for _ in range(layers)]
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
                       'config': {'mediaType': OCI_CONFIG, 'digest': config, 'size': len(CONFIG)},
                       'layers': [{'mediaType': OCI_LAYER, 'digest': d, 'size': size} for d in digests]}).encode()
    registry.manifest(repo, tag, body)
    return sha(body), digests


def blob_path(strata, digest):
    algorithm, hexa = digest.split(':')
    return strata.state / 'blobs' / algorithm / hexa[:2] / hexa


def database(strata, *statements):
    """Breaks the tables of a server that is stopped."""
    with sqlite3.connect(strata.state / 'state.db') as db:
        for statement in statements:
            db.execute(statement)
    db.close()
    for name in ('state.db', 'state.db-wal', 'state.db-shm'):
        if (strata.state / name).exists():
            os.chown(strata.state / name, *owner(strata))


def owner(strata):
    st = (strata.state / 'blobs').stat()
    return st.st_uid, st.st_gid


def fsck(strata, *options, code=None):
    """The check by the command line: {"check", "findings"}."""
    r = strata.cli('registry', 'fsck', '--json', *options)
    assert r.stdout, r.stderr
    out = json.loads(r.stdout)
    assert out['check']['error'] is None and out['check']['ended_at'], out
    assert r.returncode == (out['check']['problems'] > 0), (r.returncode, out)
    if code is not None:
        assert r.returncode == code, out
    return out


def kinds(out):
    return sorted(f['kind'] for f in out['findings'])


@pytest.fixture
def server(own_strata):
    strata = own_strata().start()
    strata.project('demo')
    return strata


def test_what_is_stored_and_what_is_about_to_go_are_counted(server):
    registry = Registry(server)
    before = server.api('GET', '/api/v1/registry/storage').json()
    assert before['blobs'] == 0 and before['stored_bytes'] == 0 and before['last_fsck'] is None
    push(registry)
    registry.blob('demo/app', b'x' * 777)
    r = registry('PATCH', registry.upload('demo/app'), data=b'y' * 123)
    assert r.status_code == 202, r.text
    now = server.api('GET', '/api/v1/registry/storage').json()
    assert (now['blobs'], now['stored_bytes']) == (4, 2 * 2000 + len(CONFIG) + 777)
    assert (now['unreferenced_blobs'], now['unreferenced_bytes']) == (1, 777)
    assert (now['uploads'], now['upload_bytes']) == (1, 123)
    assert (now['freed_blobs'], now['freed_bytes']) == (0, 0)
    assert server.api('POST', '/api/v1/registry/collect').json() == {'blobs': 0, 'bytes': 0, 'more': False}


def test_a_repair_of_many_rows_goes_in_steps_and_mends_them_all(server):
    """Steps are of 50 repositories and 5,000 blobs: pushes come between them."""
    registry = Registry(server)
    _, layers = push(registry)
    body = registry('GET', '/v2/demo/app/manifests/1').content
    for n in range(120):
        for d in (*layers, sha(CONFIG)):
            r = registry('POST', f'/v2/demo/r{n}/blobs/uploads/', params={'mount': d, 'from': 'demo/app'})
            assert r.status_code == 201, r.text
        registry.manifest(f'demo/r{n}', '1', body)
    server.stop()
    database(server, 'UPDATE repository_blobs SET manifests = 7, charged = 0', 'UPDATE registry_projects SET used_bytes = 1',
             'UPDATE blobs SET repositories = 3', 'UPDATE manifests SET project_id = 99 WHERE repository_id % 2')
    server.start()
    registry = Registry(server)
    pushed, stop = [], threading.Event()

    def pushes():
        while not stop.is_set():
            pushed.append(push(registry, f'demo/new{len(pushed)}')[0])
    t = threading.Thread(target=pushes)
    t.start()
    out = fsck(server, '--repair')
    stop.set()
    t.join(60)
    assert set(kinds(out)) >= {'blob_manifests', 'blob_repositories', 'project_bytes', 'other_project'} and pushed
    fsck(server, '--deep', code=0)


def test_metrics_are_read_by_prometheus(server):
    registry = Registry(server)
    push(registry)
    assert registry('GET', '/v2/demo/app/manifests/1').status_code == 200
    server.api('PUT', '/api/v1/projects/demo/quota', json={'quota_bytes': 1 << 30})
    r = server.api('GET', '/metrics')
    assert r.status_code == 200 and r.headers['Content-Type'].startswith('text/plain; version=0.0.4')
    values, described = {}, set()
    for line in r.text.splitlines():
        if line.startswith('# TYPE '):
            described.add(line.split()[2])
        elif not line.startswith('#'):
            name, value = line.rsplit(' ', 1)
            values[name] = int(value)
            assert name.split('{')[0] in described, line
    assert values['strata_http_requests_total{route="registry",code="201"}'] >= 4 and values['strata_http_connections'] >= 1
    assert values['strata_http_requests_total{route="registry",code="200"}'] == 1
    for name in ('webhooks_waiting', 'replication_runs_open', 'replication_tasks_open', 'scans_waiting', 'registry_uploads',
                 'registry_trash_entries', 'registry_trash_manifests', 'registry_trash_bytes'):
        assert values['strata_' + name] == 0, name
    if shutil.which('promtool'):
        subprocess.run(['promtool', 'check', 'metrics'], input=r.text, text=True, check=True)
    stored = 2 * 2000 + len(CONFIG)
    assert values['strata_registry_stored_bytes'] == stored and values['strata_registry_blobs'] == 3
    assert values['strata_registry_pushes_total'] == 1 and values['strata_registry_pulls_total'] == 1
    assert values['strata_registry_project_used_bytes{project="demo"}'] > stored
    assert values['strata_registry_project_quota_bytes{project="demo"}'] == 1 << 30
    assert server.api('GET', '/metrics', user=None).status_code == 401
    server.user('ada', 'demo', 'maintainer')
    assert server.api('GET', '/metrics', user='ada').status_code == 403


def test_what_was_collected_counts_as_freed(server):
    registry = Registry(server)
    digest = registry.blob('demo/app', b'z' * 555)
    server.stop()
    database(server, 'UPDATE repository_blobs SET touched_ms = 1')
    server.start()
    out = json.loads(server.cli('registry', 'collect', '--json', check=True).stdout)
    assert out == {'blobs': 1, 'bytes': 555}
    assert not blob_path(server, digest).exists()
    now = server.api('GET', '/api/v1/registry/storage').json()
    assert (now['blobs'], now['freed_blobs'], now['freed_bytes']) == (0, 1, 555)
    assert 'freed in the last day' in server.cli('registry', 'storage', check=True).stdout
    fsck(server, code=0)


def test_a_whole_registry_has_no_findings(server):
    registry = Registry(server)
    digest, _ = push(registry)
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': digest, 'size': 500}]}).encode()
    registry.manifest('demo/app', 'all', index, OCI_INDEX)
    out = fsck(server, '--deep', code=0)
    assert out['findings'] == [] and out['check']['blobs'] == 3 and out['check']['manifests'] == 2
    assert server.api('GET', FSCK).json()['deep'] is True
    assert server.api('GET', '/api/v1/registry/storage').json()['last_fsck']['problems'] == 0
    # An index whose image somebody deleted is his business: told, not counted.
    assert registry('DELETE', f'/v2/demo/app/manifests/{digest}').status_code == 202
    out = fsck(server, code=0)
    assert kinds(out) == ['missing_child'] and out['check']['notes'] == 1


def test_only_administrators_check_and_collect(server):
    server.user('ada', 'demo', 'maintainer')
    for method, path in (('GET', '/api/v1/registry/storage'), ('POST', '/api/v1/registry/collect'), ('GET', FSCK),
                         ('POST', FSCK), ('GET', FSCK + '/findings')):
        assert server.api(method, path, user='ada', json={}).status_code == 403
    r = server.api('GET', FSCK)
    assert r.status_code == 404 and 'not checked yet' in r.text


def test_a_lost_file_is_found_and_comes_back_with_the_next_push(server):
    registry = Registry(server)
    data = os.urandom(3000)
    used, unused = registry.blob('demo/app', data), registry.blob('demo/app', b'nobody needs this')
    config = registry.blob('demo/app', b'{}')
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
                       'config': {'mediaType': OCI_CONFIG, 'digest': config, 'size': 2},
                       'layers': [{'mediaType': OCI_LAYER, 'digest': used, 'size': 3000}]}).encode()
    registry.manifest('demo/app', '1', body)
    for digest in (used, unused):
        blob_path(server, digest).unlink()
    out = fsck(server, code=1)
    assert kinds(out) == ['missing_file', 'missing_file']
    assert {f['details'] for f in out['findings']} == {'demo/app:1', ''}
    out = fsck(server, '--repair', code=1)
    assert {f['name']: f['repaired'] for f in out['findings']} == {used: False, unused: True}
    assert kinds(fsck(server, code=1)) == ['missing_file']
    assert registry('HEAD', f'/v2/demo/app/blobs/{used}').status_code == 404
    r = registry('POST', '/v2/demo/app/blobs/uploads/', params={'mount': used, 'from': 'demo/app'})
    assert r.status_code == 202, 'what has no file cannot be mounted'
    assert registry.blob('demo/app', data) == used
    fsck(server, '--deep', code=0)


def test_damaged_bytes_are_found_by_deep_and_set_aside(server):
    registry = Registry(server)
    data = os.urandom(5000)
    digest = registry.blob('demo/app', data)
    with open(blob_path(server, digest), 'r+b') as f:
        f.seek(1000)
        f.write(b'rotten')
    fsck(server, code=0)
    assert kinds(fsck(server, '--deep', code=1)) == ['damaged_file']
    fsck(server, '--deep', '--repair', code=1)
    assert (server.state / 'blobs/damaged' / digest.split(':')[1]).stat().st_size == 5000
    assert registry.blob('demo/app', data) == digest
    fsck(server, '--deep', code=0)


def test_files_without_a_row_are_found(server):
    data = os.urandom(100)
    for digest, content in ((sha(data), data), ('sha256:' + 'ab' * 32, b'something else')):
        blob_path(server, digest).write_bytes(content)
    os.sync()
    wait_for(lambda: len(fsck(server)['findings']) == 2, 10, 'files of this very second are old enough')
    out = fsck(server, '--repair', code=1)
    assert kinds(out) == ['file_without_row'] * 2 and out['check']['repaired'] == 2
    fsck(server, code=0)


BROKEN = {
    'blob_repositories': ('UPDATE blobs SET repositories = repositories + 1',),
    'blob_manifests': ('UPDATE repository_blobs SET manifests = 7 WHERE manifests = 1',),
    'project_bytes': ('UPDATE registry_projects SET used_bytes = used_bytes - 1',),
    'project_blob': ('UPDATE project_blobs SET repositories = 9',),
    'not_charged': ('UPDATE repository_blobs SET charged = 0 WHERE manifests > 0',),
    'lost_tag': ("INSERT INTO tags(repository_id, name, manifest_id, pushed_ms) SELECT repository_id, 'lost', 999, 0 FROM tags LIMIT 1",),
    'lost_reference': ("INSERT INTO manifest_children VALUES (999, 'sha256:" + 'cd' * 32 + "', 1)",),
    'trash_entry': ('UPDATE trash SET manifests = manifests + 7',),
    'trash_totals': ('UPDATE trash_totals SET entries = entries + 3, manifests = 0', 'INSERT INTO trash_totals VALUES (99, 1, 1, 1, 1)'),
    'trash_in_use': ('INSERT INTO blob_trash SELECT digest FROM blobs',),
    'unlinked_blob': ('DELETE FROM repository_blobs WHERE manifests > 0',),
    'blob_size': ('UPDATE blobs SET size_bytes = size_bytes + 1',),
}


@pytest.mark.parametrize('kind', BROKEN)
def test_wrong_rows_are_found_and_mended(server, kind):
    registry = Registry(server)
    digest, layers = push(registry)
    push(registry, tag='gone')
    assert server.api('DELETE', '/api/v1/projects/demo/repositories/app/tags/gone').status_code == 204
    if kind.startswith('lost_'):  # with such rows it would not start
        database(server, *BROKEN[kind])
    else:
        server.stop()
        database(server, *BROKEN[kind])
        server.start()
    out = fsck(server, code=1)
    assert kind in kinds(out) and not any(f['repaired'] for f in out['findings'])
    out = fsck(server, '--repair', code=1)
    assert all(f['repaired'] for f in out['findings']), out
    assert fsck(server, '--deep', code=0)['findings'] == []
    registry = Registry(server)
    assert registry('GET', '/v2/demo/app/manifests/1', headers={'Accept': OCI_MANIFEST}).status_code == 200
    assert registry('GET', f'/v2/demo/app/blobs/{layers[0]}').status_code == 200


def test_a_damaged_manifest_is_found(server):
    push(Registry(server))
    server.stop()
    database(server, "UPDATE manifests SET body = CAST(replace(CAST(body AS TEXT), '2000', '2001') AS BLOB)")
    server.start()
    assert 'damaged_manifest' in kinds(fsck(server, code=1))


def test_a_state_directory_is_checked_without_its_server(server):
    registry = Registry(server)
    digest, layers = push(registry)
    r = server.cli('registry', 'fsck', '--state', server.state)
    assert r.returncode != 0 and 'serves' in r.stderr
    server.stop()
    r = server.cli('registry', 'fsck', '--state', server.state, '--deep')
    assert r.returncode == 0, r.stdout + r.stderr
    assert '3 blobs' in r.stdout and '0 problems' in r.stdout
    blob_path(server, layers[0]).unlink()
    r = server.cli('registry', 'fsck', '--state', server.state)
    assert r.returncode == 1 and 'demo/app:1' in r.stdout
    r = server.cli('registry', 'fsck', '--state', server.state / 'nowhere')
    assert r.returncode not in (0, 1) and 'state.db' in r.stderr
    server.start()  # its files are still its own
    assert registry('GET', '/v2/demo/app/manifests/1', headers={'Accept': OCI_MANIFEST}).status_code == 200


def test_checks_find_nothing_while_others_push_and_delete(server):
    registry, stop, wrong = Registry(server), threading.Event(), []

    def work(n):
        own = Registry(server)
        try:
            while not stop.is_set():
                digest, layers = push(own, f'demo/app{n}', 't')
                own('DELETE', f'/v2/demo/app{n}/manifests/{digest}')
                own('DELETE', f'/v2/demo/app{n}/blobs/{layers[0]}')
        except Exception as e:  # noqa: the thread's failure is the test's
            wrong.append(e)
    threads = [threading.Thread(target=work, args=(n,)) for n in range(3)]
    for t in threads:
        t.start()
    try:
        for i in range(6):
            out = fsck(server, *(['--deep', '--repair'] if i % 2 else []), code=0)
            assert out['findings'] == []
            assert server.api('POST', '/api/v1/registry/collect').status_code == 200
    finally:
        stop.set()
        for t in threads:
            t.join()
    assert not wrong, wrong
    assert registry('GET', '/v2/').status_code == 200


def test_a_lost_file_that_only_the_trash_holds_stops_no_repair(server):
    registry = Registry(server)
    _, layers = push(registry, tag='gone')
    _, others = push(registry, tag='stays')
    assert server.api('DELETE', '/api/v1/projects/demo/repositories/app/tags/gone').status_code == 204
    blob_path(server, layers[0]).unlink()
    blob_path(server, others[0]).unlink()
    out = fsck(server, '--repair', code=1)
    lost = {f['name']: f for f in out['findings']}
    assert set(lost) == {layers[0], others[0]}
    assert 'of the trash' in json.dumps(lost[layers[0]]) and not lost[layers[0]]['repaired']


def test_a_check_without_a_server_tells_nobody(server):
    got = []

    class Target(http.server.BaseHTTPRequestHandler):
        def do_POST(self):
            got.append(self.path)
            self.send_error(503)

        def log_message(self, *args):
            pass
    target = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Target)
    threading.Thread(target=target.serve_forever, args=(0.05,), daemon=True).start()
    try:
        r = server.api('POST', '/api/v1/projects/demo/webhooks', json={
            'name': 'w', 'url': f'http://127.0.0.1:{target.server_port}/', 'events': ['PUSH_ARTIFACT']})
        assert r.status_code == 201, r.text
        push(Registry(server))
        wait_for(lambda: got, 10, 'the first try')
        server.kill()
        database(server, 'UPDATE webhooks SET next_ms = 1')
        before = len(got)
        r = server.cli('registry', 'fsck', '--state', str(server.state))
        assert r.returncode == 0, r.stdout + r.stderr
        assert len(got) == before
    finally:
        target.shutdown()
        target.server_close()
