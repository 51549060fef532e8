"""What was deleted can be had again for a while: tags, images, repositories, and the images of whole projects."""
import json
import os
import re
import sqlite3
import time

import pytest

from conftest import wait_for
from test_c20_registry import OCI_INDEX, OCI_MANIFEST, Registry, sha
from test_c23_replication import Side, subject_of

V1 = '/api/v1/'


@pytest.fixture(scope='module')
def side(strata):
    return Side(strata)


@pytest.fixture
def name(request, side):
    node = request.node.name
    name = re.sub('[^a-z0-9]+', '-', node.removeprefix('test_'))[:24].strip('-') + '-' + sha(node.encode())[-4:]
    side.strata.project(name)
    return name


def trash(side, project, **query):
    r = side.api('GET', f'{V1}projects/{project}/trash', params=query)
    assert r.status_code == 200, r.text
    return r.json()['items']


def restore(side, project, item, status=200, **kwargs):
    r = side.api('POST', f'{V1}projects/{project}/trash/{item["id"]}/restore', **kwargs)
    assert r.status_code == status, r.text
    return r.json()


def drop(side, path):
    r = side.api('DELETE', V1 + path)
    assert r.status_code == 204, r.text


def used(side, project):
    return side.api('GET', f'{V1}projects/{project}/quota').json()['used_bytes']


def multi(side, repo):
    """An index of two images under a tag, with a signature; digests of all."""
    reg = side.registry
    parts = [reg.image(repo, None, architecture=a) for a in ('amd64', 'arm64')]
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': len(m), 'platform': {'os': 'linux', 'architecture': a}}
        for (d, m), a in zip(parts, ('amd64', 'arm64'))]}).encode()
    reg.manifest(repo, 'multi', index, OCI_INDEX)
    signature = side.artifact(repo, None, {**subject_of(sha(index), len(index)), 'mediaType': OCI_INDEX})
    return sha(index), [d for d, _ in parts], signature


def test_a_tag_comes_back_with_all_that_it_held(side, name):
    repo = f'{name}/app'
    digest, parts, signature = multi(side, repo)
    before = used(side, name)
    drop(side, f'projects/{name}/repositories/app/tags/multi')
    assert side.digest(repo, digest) is None and used(side, name) < before
    [item] = trash(side, name)
    assert (item['repository'], item['tag'], item['digest'], item['tags']) == ('app', 'multi', digest, 1)
    assert item['deleted_by'] == 'admin' and item['size_bytes'] > 0 and item['ends_at'] > item['deleted_at']
    assert restore(side, name, item) == {'project': name, 'repository': 'app', 'tags': 1, 'kept': 0, 'missing': 0}
    assert side.digest(repo, 'multi') == digest and used(side, name) == before
    for part in parts:
        body = side.registry('GET', f'/v2/{repo}/manifests/{part}').json()
        for d in (*body['layers'], body['config']):
            assert sha(side.registry('GET', f'/v2/{repo}/blobs/{d["digest"]}').content) == d['digest']
    assert side.referrers(repo, digest) == [signature]
    assert trash(side, name) == []
    restore(side, name, item, status=404)


def test_an_index_comes_back_with_images_that_went_before_it(side, name):
    repo = f'{name}/app'
    index, parts, _ = multi(side, repo)
    for digest in parts:
        assert side.registry('DELETE', f'/v2/{repo}/manifests/{digest}').status_code == 202
    drop(side, f'projects/{name}/repositories/app/tags/multi')
    items = trash(side, name)
    assert [i['digest'] for i in items] == [index, *reversed(parts)]
    # What is gone for good is told of; what another deletion put there comes along, and stays there too.
    drop(side, f'projects/{name}/trash/{items[2]["id"]}')
    assert restore(side, name, items[0]) == {'project': name, 'repository': 'app', 'tags': 1, 'kept': 0, 'missing': 1}

    def get(digest):
        return side.registry('GET', f'/v2/{repo}/manifests/{digest}')
    assert [get(d).status_code for d in ('multi', *parts)] == [200, 404, 200]
    for layer in get(parts[1]).json()['layers']:
        assert side.registry('GET', f'/v2/{repo}/blobs/{layer["digest"]}').status_code == 200
    assert [i['digest'] for i in trash(side, name)] == [parts[1]]
    assert restore(side, name, trash(side, name)[0])['missing'] == 0


def test_a_name_is_free_at_once_and_what_has_it_stays(side, name):
    repo = f'{name}/app'
    old, _ = side.registry.image(repo, 'v1')
    drop(side, f'projects/{name}/repositories/app/tags/v1')
    new, _ = side.registry.image(repo, 'v1', os.urandom(500))
    [item] = trash(side, name)
    assert 'there is a tag v1' in restore(side, name, item, status=409)['error']['message']
    assert side.digest(repo, 'v1') == new and len(trash(side, name)) == 1
    drop(side, f'projects/{name}/repositories/app')
    newest, _ = side.registry.image(repo, 'v2')
    assert [i['tag'] for i in trash(side, name)] == [None, 'v1']
    restore(side, name, item)
    assert side.digest(repo, 'v1') == old and side.digest(repo, 'v2') == newest
    # The repository comes back too; its v1 does not take the name from that of now.
    assert restore(side, name, trash(side, name)[0])['kept'] == 1
    assert side.digest(repo, 'v1') == old and side.digest(repo, new) == new


@pytest.mark.parametrize('what', ['tag', 'digest'])
def test_deletions_by_the_registry_protocol_too(side, name, what):
    repo = f'{name}/app'
    digest, _ = side.registry.image(repo, 'v1')
    side.registry.manifest(repo, 'v2', side.registry('GET', f'/v2/{repo}/manifests/v1').content)
    assert side.registry('DELETE', f'/v2/{repo}/manifests/{"v1" if what == "tag" else digest}').status_code == 202
    [item] = trash(side, name)
    assert item['tags'] == (1 if what == 'tag' else 2) and item['digest'] == digest
    restore(side, name, item)
    assert side.tags(repo) == ['v1', 'v2'] and side.digest(repo, 'v2') == digest


def test_the_trash_is_emptied_and_who_may(side, name):
    for i in range(3):
        side.registry.image(f'{name}/app{i}', 'v1')
        drop(side, f'projects/{name}/repositories/app{i}')
    assert [i['repository'] for i in trash(side, name)] == ['app2', 'app1', 'app0']
    assert [i['repository'] for i in trash(side, name, q='app1')] == ['app1']
    page = side.api('GET', f'{V1}projects/{name}/trash', params={'limit': 2}).json()
    assert page['next'] and [i['repository'] for i in trash(side, name, after=page['next'])] == ['app0']
    for role, ok in (('developer', False), ('maintainer', True)):
        user = f'{name}-{role}'[:60]
        side.strata.user(user, name, role)
        r = side.api('POST', f'{V1}projects/{name}/trash/{trash(side, name)[-1]["id"]}/restore', user=user)
        assert r.status_code == (200 if ok else 403), r.text
    assert side.api('GET', V1 + 'trash', user=user).status_code == 403
    # Not by way of another project.
    side.strata.project(name + 'x')
    restore(side, name + 'x', trash(side, name)[0], status=404)
    drop(side, f'projects/{name}/trash/{trash(side, name)[0]["id"]}')
    assert len(trash(side, name)) == 1
    drop(side, f'projects/{name}/trash')
    assert trash(side, name) == []


def test_the_images_of_a_deleted_project_can_be_had_again(side, name):
    digest, _ = side.registry.image(f'{name}/app', 'v1')
    side.registry.image(f'{name}/other', 'v1')
    drop(side, f'projects/{name}')
    items = [i for i in side.api('GET', V1 + 'trash', params={'q': name}).json()['items'] if i['project'] == name]
    assert sorted(i['repository'] for i in items) == ['app', 'other']
    item = next(i for i in items if i['repository'] == 'app')
    assert side.api('POST', f'{V1}trash/{item["id"]}/restore').status_code == 404
    side.strata.project(name)
    assert trash(side, name) == [] and side.digest(f'{name}/app', 'v1') is None
    restore(side, name, item, status=404)
    assert side.api('POST', f'{V1}trash/{item["id"]}/restore').status_code == 200
    assert side.digest(f'{name}/app', 'v1') == digest


def test_the_quota_is_asked_when_something_comes_back(side, name):
    side.registry.image(f'{name}/app', 'v1', os.urandom(100_000))
    drop(side, f'projects/{name}/repositories/app')
    side.api('PUT', f'{V1}projects/{name}/quota', json={'quota_bytes': 50_000})
    [item] = trash(side, name)
    restore(side, name, item, status=403)
    assert side.tags(f'{name}/app') == [] and trash(side, name) == [item]


def test_a_kill_loses_nothing_and_without_days_there_is_none(own_strata):
    side = Side(own_strata().start())
    side.strata.project('p')
    digest, _ = side.registry.image('p/app', 'v1')
    drop(side, 'projects/p/repositories/app')
    side.strata.kill()
    side.strata.start()
    assert side.strata.cli('registry', 'fsck', '--repair', '--deep').returncode == 0, 'what is in the trash is held'
    [item] = trash(side, 'p')
    restore(side, 'p', item)
    side.registry = Registry(side.strata)
    assert side.digest('p/app', 'v1') == digest
    bare = Side(own_strata(args=('--set', 'registry.trash_days=0')).start())
    bare.strata.project('p')
    bare.registry.image('p/app', 'v1')
    drop(bare, 'projects/p/repositories/app')
    assert trash(bare, 'p') == []


def test_the_command_line_does_it_too(side, name):
    digest, _ = side.registry.image(f'{name}/app', 'v1')
    side.strata.cli('image', 'delete', f'{name}/app:v1', '--yes', check=True)
    out = side.strata.cli('trash', 'list', '-p', name, check=True).stdout
    assert 'app' in out and 'v1' in out
    number = str(trash(side, name)[0]['id'])
    side.strata.cli('trash', 'restore', number, '-p', name, check=True)
    assert side.digest(f'{name}/app', 'v1') == digest
    side.strata.cli('image', 'delete', f'{name}/app:v1', '--yes', check=True)
    side.strata.cli('trash', 'delete', str(trash(side, name)[0]['id']), '-p', name, '--yes', check=True)
    side.strata.cli('trash', 'empty', '-p', name, '--yes', check=True)
    assert trash(side, name) == []


def test_what_the_trash_holds_is_counted(side, name):
    def entries():
        return int(re.search(r'^strata_registry_trash_entries (\d+)$', side.api('GET', '/metrics').text, re.M).group(1))
    before = entries()
    side.registry.image(f'{name}/app', 'v1')
    drop(side, f'projects/{name}/repositories/app')
    assert entries() == before + 1
    drop(side, f'projects/{name}/trash')
    assert entries() == before


def test_who_deletes_much_does_not_empty_the_trash_of_others(own_strata):
    side = Side(own_strata().start())
    for project in ('victim', 'hog'):
        side.strata.project(project)
        side.registry.image(f'{project}/app', 'v1')
        drop(side, f'projects/{project}/repositories/app/tags/v1')
    side.strata.stop()
    with sqlite3.connect(side.strata.state / 'state.db', timeout=30) as db:  # as after pushing and deleting 2 GiB of manifests
        hog, = db.execute("SELECT id FROM projects WHERE name = 'hog'").fetchone()
        db.execute('UPDATE trash_totals SET body_bytes = ? WHERE project_id = ?', (2 << 30, hog))
        db.execute('UPDATE trash_totals SET body_bytes = ? WHERE project_id = 0', ((2 << 30) + 1,))
    db.close()
    side.strata.start()
    wait_for(lambda: trash(side, 'hog') == [], 90, 'the trash holds no more than it may')
    assert [i['tag'] for i in trash(side, 'victim')] == ['v1']
