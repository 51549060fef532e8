"""What a project may hold and what becomes of its tags: quota, immutable tags, retention."""
import base64
import concurrent.futures
import json
import os
import socket
import subprocess
import urllib.parse

import pytest
import requests

from conftest import wait_for
from test_c20_registry import OCI_INDEX, OCI_LAYER, OCI_MANIFEST, Registry, code, sha

V1 = '/api/v1/projects/'


@pytest.fixture(scope='module')
def registry(strata):
    return Registry(strata)


@pytest.fixture
def project(strata, request):
    name = 'pol-' + request.node.name.removeprefix('test_').replace('_', '-')[:50].strip('-')
    strata.project(name)
    return name


def set_quota(strata, project, quota):
    r = strata.api('PUT', f'{V1}{project}/quota', json={'quota_bytes': quota})
    assert r.status_code == 200, r.text
    return r.json()


def used(strata, project):
    return strata.api('GET', f'{V1}{project}/quota').json()['used_bytes']


def put_blob(registry, repo, data):
    return registry('PUT', registry.upload(repo), params={'digest': sha(data)}, data=data)


def set_policy(strata, project, **policy):
    r = strata.api('PUT', f'{V1}{project}/image-policy', json=policy)
    assert r.status_code == 200, r.text
    return r.json()


def retain(strata, project, dry_run=True):
    r = strata.api('POST', f'{V1}{project}/retention/runs', json={'dry_run': dry_run})
    assert r.status_code == 201, r.text
    rows, after = [], None
    while True:
        page = strata.api('GET', f'{V1}{project}/retention/runs/{r.json()["id"]}/rows',
                          params={'limit': 1000, **({'after': after} if after else {})}).json()
        rows += page['items']
        after = page['next']
        if after is None:
            return r.json(), rows


def tags(registry, repo):
    r = registry('GET', f'/v2/{repo}/tags/list')
    return r.json()['tags'] if r.status_code == 200 else []


# --- quota ---

def test_an_upload_that_the_quota_refuses_is_given_back_at_once(strata, registry, project):
    set_quota(strata, project, 1000)
    for method, params in (('PATCH', {}), ('PUT', {'digest': sha(b'x' * 2000)})):
        session = registry.upload(f'{project}/app')
        r = registry(method, session, data=b'x' * 2000, params=params)
        assert r.status_code == 403 and code(r) == 'DENIED', r.text
        assert registry('GET', session).status_code == 404


def test_a_quota_is_exact_while_many_push_at_once(strata, registry, project):
    mib = 1 << 20
    set_quota(strata, project, 10 * mib + 10)
    blobs = [os.urandom(mib) for _ in range(32)]
    with concurrent.futures.ThreadPoolExecutor(32) as pool:
        answers = list(pool.map(lambda b: put_blob(registry, f'{project}/app-{b[0] % 3}', b), blobs))
    assert sorted(r.status_code for r in answers) == [201] * 10 + [403] * 22
    refused = next(r for r in answers if r.status_code == 403)
    assert code(refused) == 'DENIED' and 'its quota is 10.0 MiB' in refused.json()['errors'][0]['message']
    assert used(strata, project) == 10 * mib
    # What is there may come again, and to other repositories: it is held once.
    there = next(b for b, r in zip(blobs, answers) if r.status_code == 201)
    assert put_blob(registry, f'{project}/elsewhere', there).status_code == 201
    assert used(strata, project) == 10 * mib
    # A manifest is charged too, and one too many is refused whole.
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'layers': [],
                       'config': {'mediaType': OCI_LAYER, 'digest': sha(there), 'size': mib}}).encode()
    r = registry('PUT', f'/v2/{project}/elsewhere/manifests/v1', data=body, headers={'Content-Type': OCI_MANIFEST})
    assert r.status_code == 403 and code(r) == 'DENIED'
    assert tags(registry, f'{project}/elsewhere') == [] and used(strata, project) == 10 * mib
    set_quota(strata, project, None)
    registry.manifest(f'{project}/elsewhere', 'v1', body)
    assert used(strata, project) == 10 * mib + len(body)


def test_deleting_gives_the_space_back_at_once(strata, registry, project):
    before = used(strata, project)
    assert before == 0
    layer = os.urandom(100_000)
    first, _ = registry.image(f'{project}/app', 'v1', layer)
    size = used(strata, project)
    assert size > 100_000
    set_quota(strata, project, size)
    again, _ = registry.image(f'{project}/app', 'v1', layer)
    assert used(strata, project) == size, 'the same image once more'
    with pytest.raises(AssertionError, match='DENIED'):
        registry.image(f'{project}/app', 'v2', os.urandom(100_000))
    assert registry('DELETE', f'/v2/{project}/app/manifests/{first}').status_code == 202
    # Only what waits for the manifest that was refused is charged.
    assert used(strata, project) < 10_000
    registry.image(f'{project}/other', 'v1', layer)
    assert strata.api('DELETE', f'{V1}{project}/repositories/other').status_code == 204
    assert used(strata, project) < 10_000


def test_an_upload_larger_than_the_quota_is_refused_before_it_is_sent(strata, registry, project):
    set_quota(strata, project, 1000)
    url = registry.upload(f'{project}/app')
    s = requests.Session()
    r = s.patch(strata.url + url if url.startswith('/') else url, data=b'x' * 2000, auth=registry.auth,
                headers={'Content-Type': 'application/octet-stream'}, timeout=30)
    assert r.status_code == 403 and code(r) == 'DENIED'
    assert set_quota(strata, project, 0)['quota_bytes'] == 0
    assert put_blob(registry, f'{project}/app', b'y').status_code == 403


def test_an_upload_is_refused_as_soon_as_it_cannot_fit(strata, registry, project):
    set_quota(strata, project, 3000)
    registry.blob(f'{project}/app', os.urandom(2000))
    # More than is left, and no more than what the project has already: it may be just that.
    session = registry.upload(f'{project}/other')
    for n, status in ((900, 202), (600, 202), (700, 403)):
        r = registry('PATCH', session, data=b'x' * n)
        assert r.status_code == status, r.text
        session = r.headers.get('Location', session)
    assert code(r) == 'DENIED' and registry('GET', session).status_code == 404
    # A body that does not say how long it is: the answer comes before its end.
    url = urllib.parse.urlsplit(registry.upload(f'{project}/other'))
    basic = base64.b64encode(':'.join(registry.auth).encode()).decode()
    server = urllib.parse.urlsplit(strata.url)
    with socket.create_connection((server.hostname, server.port), timeout=30) as s:
        s.sendall(f'PATCH {url.path} HTTP/1.1\r\nHost: {server.netloc}\r\nAuthorization: Basic {basic}\r\n'
                  'Content-Type: application/octet-stream\r\nTransfer-Encoding: chunked\r\n\r\n'.encode())
        s.sendall(b'%x\r\n' % 4000 + b'x' * 4000 + b'\r\n')
        answer = s.recv(65536)
    assert b' 403 ' in answer.split(b'\r\n')[0], answer
    assert used(strata, project) == 2000


def test_mounting_is_charged_to_the_project_that_mounts(strata, registry, project):
    strata.project('pol-source')
    digest = registry.blob('pol-source/app', os.urandom(5000))
    set_quota(strata, project, 4000)
    query = {'mount': digest, 'from': 'pol-source/app'}
    assert registry('POST', f'/v2/{project}/app/blobs/uploads/', params=query).status_code == 202, 'as if it could not be mounted'
    assert used(strata, project) == 0
    set_quota(strata, project, 5000)
    assert registry('POST', f'/v2/{project}/app/blobs/uploads/', params=query).status_code == 201
    assert used(strata, project) == 5000


def test_the_setting_is_the_quota_of_projects_without_one(own_strata):
    s = own_strata(args=('--set', 'registry.project_quota=10KiB')).start()
    s.project('demo')
    registry = Registry(s)
    assert s.api('GET', f'{V1}demo/quota').json() == {'used_bytes': 0, 'quota_bytes': 10240, 'is_default': True}
    assert put_blob(registry, 'demo/app', os.urandom(11000)).status_code == 403
    assert set_quota(s, 'demo', 20000) == {'used_bytes': 0, 'quota_bytes': 20000, 'is_default': False}
    assert put_blob(registry, 'demo/app', os.urandom(11000)).status_code == 201
    assert set_quota(s, 'demo', None)['is_default']
    s.kill()
    s.start()
    assert used(s, 'demo') == 11000


def test_skopeo_is_told_of_the_quota(strata, registry, project, tmp_path):
    set_quota(strata, project, 1000)
    layer = tmp_path / 'layer'
    layer.write_bytes(os.urandom(100_000))
    name, password = registry.auth
    subprocess.run(['tar', '-C', tmp_path, '-cf', tmp_path / 'rootfs.tar', 'layer'], check=True)
    strata.cli('image', 'push', f'library/pol-big:1', '--program', '/bin/busybox', check=True)
    r = subprocess.run(['skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false', f'--src-creds={name}:{password}',
                        f'--dest-creds={name}:{password}', f'docker://127.0.0.1:{strata.port}/library/pol-big:1',
                        f'docker://127.0.0.1:{strata.port}/{project}/app:1'], capture_output=True, text=True, timeout=60)
    assert r.returncode != 0 and 'its quota is' in r.stderr, r.stderr


# --- immutable tags ---

def test_an_immutable_tag_can_be_neither_moved_nor_deleted(strata, registry, project):
    set_policy(strata, project, immutable=[{'repositories': 'app', 'tags': '{v*,stable}'}])
    repo = f'{project}/app'
    digest, body = registry.image(repo, 'v1')
    registry.manifest(repo, 'v1', body)  # the same again changes nothing
    other, other_body = registry.image(repo, 'nightly')
    for ref, data in (('v1', other_body), ('stable', other_body)):
        r = registry('PUT', f'/v2/{repo}/manifests/{ref}', data=data, headers={'Content-Type': OCI_MANIFEST})
        assert r.status_code == (409 if ref == 'v1' else 201), r.text
        if ref == 'v1':
            assert code(r) == 'DENIED' and 'tag v1 of' in r.json()['errors'][0]['message'] and 'rule 1' in r.text
    assert registry('GET', f'/v2/{repo}/manifests/v1').content == body
    registry.image(repo, 'nightly')  # not covered: may move
    index = json.dumps({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json', 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': digest, 'size': len(body)}]}).encode()
    registry.manifest(f'{repo}', 'v2', index, 'application/vnd.oci.image.index.v1+json')
    assert registry('DELETE', f'/v2/{repo}/manifests/{digest}').status_code == 409, 'an image of an immutable index'
    for path in (f'/v2/{repo}/manifests/v1', f'/v2/{repo}/manifests/{digest}', f'{V1}{project}/repositories/app/tags/v1',
                 f'{V1}{project}/repositories/app', f'/v2/{repo}/manifests/{other}'):
        assert registry('DELETE', path).status_code == 409, path
    assert registry('DELETE', f'/v2/{repo}/manifests/nightly').status_code == 202
    registry.image(f'{project}/free', 'v1')
    registry.image(f'{project}/free', 'v1')
    set_policy(strata, project, immutable=[])
    assert registry('DELETE', f'{V1}{project}/repositories/app').status_code == 204


def test_a_wrong_policy_names_every_mistake(strata, project):
    r = strata.api('PUT', f'{V1}{project}/image-policy', json={
        'immutable': [{'tags': 'a['}, {'tag': 'x'}],
        'retention': {'schedule': '61 * * * *', 'others': 'burn', 'rules': [{'keep': 'some'}, {'keep': 'latest_pushed', 'n': 0}]}})
    assert r.status_code == 400
    message = r.json()['error']['message']
    for said in ('immutable[0].tags', 'immutable[1]', "did you mean 'tags'", 'retention.schedule', 'retention.others',
                 'retention.rules[0].keep', 'retention.rules[1].n'):
        assert said in message, message
    assert strata.api('GET', f'{V1}{project}/image-policy').json() == {
        'immutable': [], 'retention': {'schedule': None, 'others': 'keep', 'rules': []}}
    far = [{'id': 1000000000, 'tags': 'x'}, {'tags': 'y'}]
    assert strata.api('PUT', f'{V1}{project}/image-policy', json={'immutable': far}).status_code == 400, 'no id is left'
    assert strata.api('GET', f'{V1}{project}/image-policy').status_code == 200
    many = [{'tags': 'x'}] * 51
    assert strata.api('PUT', f'{V1}{project}/image-policy', json={'immutable': many}).status_code == 400


def test_rules_keep_their_ids(strata, project):
    first = set_policy(strata, project, immutable=[{'tags': 'a'}, {'tags': 'b'}])
    assert [r['id'] for r in first['immutable']] == [1, 2]
    second = set_policy(strata, project, immutable=[first['immutable'][1], {'tags': 'c'}])
    assert [(r['id'], r['tags']) for r in second['immutable']] == [(2, 'b'), (3, 'c')]
    r = strata.api('PUT', f'{V1}{project}/image-policy', json={'immutable': [{'id': 7, 'tags': 'a'}, {'id': 7, 'tags': 'b'}]})
    assert r.status_code == 400 and 'id 7 twice' in r.json()['error']['message']


# --- retention ---

def test_a_dry_run_says_exactly_what_the_real_one_does(strata, registry, project):
    repo = f'{project}/team/app'
    for i in range(6):
        registry.image(repo, f'v{i}')
    registry.image(repo, 'latest')
    registry.image(f'{project}/other', 'v0')
    same, body = registry.image(repo, 'v6')
    registry.manifest(repo, 'v6-alias', body)
    set_policy(strata, project, immutable=[{'tags': 'v0'}],
               retention={'rules': [{'repositories': 'team/*', 'tags': 'v*', 'keep': 'latest_pushed', 'n': 2}]})
    run, rows = retain(strata, project)
    says = {r['tag']: (r['kept'], r['why']) for r in rows}
    assert run['dry_run'] and (run['kept'], run['removed']) == (5, 4) and run['error'] is None
    assert says == {
        'v6': (True, 'among the latest 2 pushed (rule 2)'), 'v6-alias': (True, 'among the latest 2 pushed (rule 2)'),
        'v5': (True, 'among the latest 2 pushed (rule 2)'), 'v0': (True, 'immutable (rule 1)'),
        'latest': (True, 'no rule is about it'), **{f'v{i}': (False, 'no rule keeps it') for i in (1, 2, 3, 4)}}
    assert {r['repository'] for r in rows} == {'team/app'}
    assert len(tags(registry, repo)) == 9
    run, real = retain(strata, project, dry_run=False)
    assert real == rows and not run['dry_run']
    assert tags(registry, repo) == ['latest', 'v0', 'v5', 'v6', 'v6-alias']
    assert tags(registry, f'{project}/other') == ['v0'], 'no rule is about this repository'
    for row in rows:
        status = registry('HEAD', f'/v2/{repo}/manifests/{row["digest"]}').status_code
        assert status == (200 if row['kept'] else 404), row


def test_a_signature_is_no_image_and_stays_with_its_own(strata, registry, project):
    repo = f'{project}/app'
    digests = [registry.image(repo, f'v{i}')[0] for i in range(3)]
    for digest in digests:  # later than all images, as cosign does
        registry.image(repo, digest.replace(':', '-') + '.sig')
    registry.image(repo, 'sha256-' + '0' * 64 + '.sig')
    set_policy(strata, project, retention={'rules': [{'keep': 'latest_pushed', 'n': 1}]})
    run, rows = retain(strata, project, dry_run=False)
    says = {r['tag']: r['why'] for r in rows}
    signature = [d.replace(':', '-') + '.sig' for d in digests]
    assert says == {'v0': 'no rule keeps it', 'v1': 'no rule keeps it', 'v2': 'among the latest 1 pushed (rule 1)',
                    signature[0]: 'goes with its image', signature[1]: 'goes with its image', signature[2]: 'stays with its image',
                    'sha256-' + '0' * 64 + '.sig': 'pushed less than a day ago: its image may still come'}
    assert tags(registry, repo) == sorted(['v2', signature[2], 'sha256-' + '0' * 64 + '.sig'])


def test_a_signature_stays_as_long_as_its_image_may_be_had(strata, registry, project):
    """One that an index lists although its own tag goes, one in the trash; and what is only called like a signature."""
    repo = f'{project}/app'
    part, body = registry.image(repo, 'v1-amd64')
    trashed, _ = registry.image(repo, 'oops')
    for digest in (part, trashed):
        registry.image(repo, digest.replace(':', '-') + '.sig')
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': part, 'size': len(body), 'platform': {'os': 'linux', 'architecture': 'amd64'}}]}).encode()
    registry.manifest(repo, 'v1', index, OCI_INDEX)
    hashes = ['sha256-' + c * 64 for c in '12']
    for tag in hashes:
        registry.image(repo, tag)
    assert strata.api('DELETE', f'/api/v1/projects/{project}/repositories/app/tags/oops').status_code == 204
    set_policy(strata, project, retention={'rules': [{'tags': 'v1', 'keep': 'always'}, {'tags': hashes[0], 'keep': 'always'},
                                                     {'tags': '**', 'keep': 'latest_pushed', 'n': 1}]})
    _, rows = retain(strata, project, dry_run=False)
    says = {r['tag']: r['why'] for r in rows}
    signatures = [d.replace(':', '-') + '.sig' for d in (part, trashed)]
    assert says == {'v1': 'always kept (rule 1)', 'v1-amd64': 'no rule keeps it', hashes[0]: 'always kept (rule 2)',
                    hashes[1]: 'among the latest 1 pushed (rule 3)', **{t: 'stays with its image' for t in signatures}}
    assert registry('GET', f'/v2/{repo}/manifests/{part}').status_code == 200
    assert tags(registry, repo) == sorted(['v1', *hashes, *signatures])


def test_others_are_removed_only_when_that_is_asked_for(strata, registry, project):
    repo = f'{project}/app'
    for tag in ('keep-me', 'scratch'):
        registry.image(repo, tag)
    rules = [{'tags': 'keep-*', 'keep': 'always'}]
    set_policy(strata, project, retention={'rules': rules})
    assert retain(strata, project)[0]['removed'] == 0
    set_policy(strata, project, retention={'others': 'remove', 'rules': rules})
    retain(strata, project, dry_run=False)
    assert tags(registry, repo) == ['keep-me']


def test_untagged_images_go_only_by_a_rule_about_them(own_strata):
    s = own_strata().start()
    s.project('demo')
    registry, project, repo = Registry(s), 'demo', 'demo/app'
    old, _ = registry.image(repo, 'v1')
    child, child_body = registry.image(repo, None)
    index = json.dumps({'schemaVersion': 2, 'mediaType': 'application/vnd.oci.image.index.v1+json', 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': child, 'size': len(child_body)}]}).encode()
    registry.manifest(repo, 'multi', index, 'application/vnd.oci.image.index.v1+json')
    new, _ = registry.image(repo, 'v1')  # leaves `old` without a tag
    signature, _ = registry.image(repo, None, subject={'mediaType': OCI_MANIFEST, 'digest': new, 'size': 1},
                                  artifactType='application/vnd.example.signature')
    exists = lambda d: registry('HEAD', f'/v2/{repo}/manifests/{d}').status_code == 200
    set_policy(s, project, retention={'rules': [{'tags': '**', 'keep': 'always'}]})
    retain(s, project, dry_run=False)
    assert all(map(exists, (old, child, new, signature)))
    set_policy(s, project, retention={'rules': [{'tags': '**', 'keep': 'latest_pushed', 'n': 2, 'untagged': True}]})
    _, rows = retain(s, project, dry_run=False)
    assert exists(old) and 'may still come' in next(r['why'] for r in rows if r['tag'] == '')
    assert s.stop() == 0
    subprocess.run(['sqlite3', s.state / 'state.db', 'UPDATE manifests SET pushed_ms = pushed_ms - 2 * 86400000'], check=True)
    s.start()
    _, rows = retain(s, project, dry_run=False)
    assert not exists(old) and all(map(exists, (child, new, signature))), rows
    assert {(r['tag'], r['kept']) for r in rows} == {('v1', True), ('multi', True), ('', False)}


def test_what_was_pulled_lately_is_kept(strata, registry, project):
    repo = f'{project}/app'
    for tag in ('never', 'pulled', 'asked-for'):
        registry.image(repo, tag)
    assert registry('GET', f'/v2/{repo}/manifests/pulled').status_code == 200
    assert registry('HEAD', f'/v2/{repo}/manifests/asked-for').status_code == 200
    for rule in ({'keep': 'pulled_days', 'n': 1}, {'keep': 'latest_pulled', 'n': 2}):
        set_policy(strata, project, retention={'rules': [rule]})
        _, rows = retain(strata, project)
        assert {r['tag'] for r in rows if r['kept']} == {'pulled'}, rule
    set_policy(strata, project, retention={'rules': [{'keep': 'pulled_days', 'n': 1}, {'keep': 'pushed_days', 'n': 1, 'tags': 'never'}]})
    retain(strata, project, dry_run=False)
    assert tags(registry, repo) == ['never', 'pulled']


def test_a_project_without_rules_says_what_to_do(strata, project):
    r = strata.api('POST', f'{V1}{project}/retention/runs', json={})
    assert r.status_code == 400 and 'add one first' in r.json()['error']['message']


def test_thousands_of_tags_are_decided_in_one_run(strata, registry, project):
    repo = f'{project}/app'
    _, body = registry.image(repo, 'base')
    digest = sha(body)
    for at in range(0, 3000, 60):
        r = registry('PUT', f'/v2/{repo}/manifests/{digest}', params=[('tag', f't{i:05}') for i in range(at, at + 60)], data=body,
                     headers={'Content-Type': OCI_MANIFEST})
        assert r.status_code == 201, r.text
    registry.image(repo, 'newest')
    set_policy(strata, project, retention={'rules': [{'keep': 'latest_pushed', 'n': 1}]})
    run, rows = retain(strata, project, dry_run=False)
    assert (run['kept'], run['removed'], len(rows)) == (1, 3001, 3002)
    assert tags(registry, repo) == ['newest']


def test_a_run_that_was_cut_short_is_over_after_the_restart(own_strata):
    s = own_strata().start()
    s.project('demo')
    registry = Registry(s)
    registry.image('demo/app', 'v1')
    set_policy(s, 'demo', retention={'rules': [{'keep': 'always'}]})
    s.kill()
    subprocess.run(['sqlite3', '-cmd', '.timeout 20000', s.state / 'state.db', "INSERT INTO retention_runs(project_id, started_ms, dry_run, started_by)"
                    " SELECT id, 1, 0, 'admin' FROM projects WHERE name = 'demo'"], check=True)
    s.start()
    cut, = s.api('GET', f'{V1}demo/retention/runs').json()['items']
    assert 'cut short by a restart' in cut['error'] and cut['ended_at']
    retain(s, 'demo')


def test_a_schedule_runs_by_itself_also_behind_a_policy_that_cannot_be_read(own_strata):
    s = own_strata().start()
    for project in ('demo', 'other', 'broken'):
        s.project(project)
    registry = Registry(s)
    for project in ('demo', 'other'):
        for tag in ('a', 'b'):
            registry.image(f'{project}/app', tag)
    for project in ('demo', 'other', 'broken'):
        set_policy(s, project, retention={'schedule': '* * * * *', 'rules': [{'keep': 'latest_pushed', 'n': 1}]})
    assert s.stop() == 0
    # All three became due while nobody ran.
    subprocess.run(['sqlite3', s.state / 'state.db', 'UPDATE registry_projects SET next_run_ms = 2 WHERE next_run_ms > 0;'
                    "UPDATE registry_projects SET policy = '{\"later\": 1}', next_run_ms = 1"
                    " WHERE project_id = (SELECT id FROM projects WHERE name = 'broken')"], check=True)
    s.start()
    for project in ('demo', 'other'):
        run = wait_for(lambda: s.api('GET', f'{V1}{project}/retention/runs').json()['items'], 180, 'the scheduled run')[-1]
        assert run['started_by'] == 'schedule' and not run['dry_run']
        wait_for(lambda: tags(registry, f'{project}/app') == ['b'], 30, 'the tag that no rule keeps to go')
    assert 'registry.policy_unreadable' in s.log()


# --- from the command line ---

def test_rules_and_runs_from_the_command_line(strata, project):
    def cli(*args, code=0):
        r = strata.cli(*args, '-p', project)
        assert r.returncode == code, r.stdout + r.stderr
        return r.stdout if code == 0 else r.stderr
    registry = Registry(strata)
    for tag in ('1', '2', 'v3'):
        registry.image(f'{project}/app', tag)
    cli('quota', 'set', '1GiB')
    assert 'of 1.0 GiB' in cli('quota', 'show') and strata.api('GET', f'{V1}{project}/quota').json()['quota_bytes'] == 1 << 30
    assert 'default' in cli('quota', 'set', 'default')
    assert 'size such as' in cli('quota', 'set', 'much', code=65)
    cli('immutable', 'add', '--tags', 'v*')
    assert 'v*' in cli('immutable', 'ls')
    cli('retention', 'add', '--keep', 'latest_pushed', '--n', '1', '--repositories', 'app')
    cli('retention', 'set', '--schedule', '@daily')
    shown = cli('retention', 'show')
    assert 'latest_pushed' in shown and '@daily' in shown
    assert strata.api('GET', f'{V1}{project}/image-policy').json()['retention']['schedule'] == '@daily'
    dry = cli('retention', 'run', '--dry-run')
    assert 'would go' in dry and 'WHY' in dry
    assert registry('GET', f'/v2/{project}/app/tags/list').json()['tags'] == ['1', '2', 'v3']
    run = json.loads(cli('retention', 'run', '--yes', '--json'))
    assert run['run']['removed'] > 0 and 'v3' in registry('GET', f'/v2/{project}/app/tags/list').json()['tags']
    assert json.loads(cli('retention', 'runs', '--json'))[0]['id'] == run['run']['id']
    assert json.loads(cli('retention', 'log', str(run['run']['id']), '--json')) == run
    assert 'no immutable rule 99' in cli('immutable', 'rm', '99', code=66)
    cli('immutable', 'rm', '1')
    cli('retention', 'delete', str(strata.api('GET', f'{V1}{project}/image-policy').json()['retention']['rules'][0]['id']))
    assert strata.api('GET', f'{V1}{project}/image-policy').json()['retention']['rules'] == []
