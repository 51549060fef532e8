"""Labels of images: global ones and those of projects, in lists, rules, the trash, and Harbor's API; logos of projects."""
import json
import os
import struct
import zlib

from conftest import wait_for
from test_c20_registry import Registry
from test_c23_replication import FAST, Side
from test_c28_labels_trash import drop, name, restore, side, trash  # two of them are fixtures

V1 = '/api/v1/'
V2 = '/api/v2.0/'


def make(side, name, label, status=201, **kwargs):
    """A label of a project; of None a global one."""
    where = f'projects/{name}/labels' if name else 'labels'
    body = {'name': label, **{k: kwargs.pop(k) for k in ('color', 'description') if k in kwargs}}
    r = side.api('POST', V1 + where, json=body, **kwargs)
    assert r.status_code == status, r.text
    return r.json()


def image(name, ref, repo='app'):
    return f'{V1}projects/{name}/repositories/{repo}/artifacts/{ref}'


def put(side, name, ref, label, status=204, repo='app', **kwargs):
    r = side.api('PUT', f'{image(name, ref, repo)}/labels/{label}', **kwargs)
    assert r.status_code == status, r.text
    return r.text


def labels(side, name, ref, repo='app'):
    r = side.api('GET', image(name, ref, repo) + '/labels')
    assert r.status_code == 200, r.text
    return [x['name'] for x in r.json()['items']]


def tags(side, name, repo='app', **query):
    r = side.api('GET', f'{V1}projects/{name}/repositories/{repo}/tags', params=query)
    assert r.status_code == 200, r.text
    return [x['tag'] for x in r.json()['items']]


def repositories(side, name, **query):
    return [x['name'] for x in side.api('GET', f'{V1}projects/{name}/repositories', params=query).json()['items']]


def test_a_label_is_put_on_an_image_and_taken_off(side, name):
    digest, _ = side.registry.image(f'{name}/app', 'v1')
    made = make(side, name, 'needs review', color='#CF1322', description='Somebody should look.')
    assert made['scope'] == 'project' and made['created_by'] == 'admin' and made['color'] == '#CF1322'
    put(side, name, 'v1', 'needs review')
    put(side, name, digest, 'needs review')  # once more: it has it already
    assert labels(side, name, 'v1') == labels(side, name, digest) == ['needs review']
    [row] = side.api('GET', f'{V1}projects/{name}/repositories/app/tags').json()['items']
    assert row['labels'] == [{'id': made['id'], 'name': 'needs review', 'color': '#CF1322', 'scope': 'project'}]
    r = side.api('PATCH', f'{V1}projects/{name}/labels/needs review', json={'name': 'reviewed', 'color': '#389e0d'})
    assert r.status_code == 200 and (r.json()['name'], r.json()['description']) == ('reviewed', 'Somebody should look.')
    assert labels(side, name, 'v1') == ['reviewed'], 'the same label by another name'
    assert side.api('DELETE', image(name, 'v1') + '/labels/reviewed').status_code == 204
    r = side.api('DELETE', image(name, 'v1') + '/labels/reviewed')
    assert r.status_code == 404 and 'does not have this label' in r.text
    assert labels(side, name, 'v1') == []
    actions = [x for x in side.api('GET', V1 + 'audit', params={'project': name}).json()['items'] if '/labels/' in json.dumps(x)]
    assert len(actions) >= 4, 'who labels is written down'


def test_a_label_stays_with_its_image_when_the_tag_moves(side, name):
    make(side, name, 'prod')
    old, body = side.registry.image(f'{name}/app', 'v1')
    put(side, name, 'v1', 'prod')
    new, _ = side.registry.image(f'{name}/app', 'v1', os.urandom(100))
    assert labels(side, name, 'v1') == [] and labels(side, name, old) == ['prod']
    side.registry.manifest(f'{name}/app', 'again', body)
    assert labels(side, name, 'again') == ['prod'], 'pushed once more, it is the same image'


def test_lists_are_filtered_by_labels(side, name):
    for label in ('prod', 'eu', 'a & b'):
        make(side, name, label)
    for tag in ('v1', 'v2', 'v3'):
        side.registry.image(f'{name}/app', tag, os.urandom(100))
    side.registry.image(f'{name}/other', 'v1')
    put(side, name, 'v1', 'prod')
    put(side, name, 'v2', 'prod')
    put(side, name, 'v2', 'eu')
    put(side, name, 'v3', 'a %26 b')
    assert tags(side, name, label='prod') == ['v1', 'v2']
    assert tags(side, name, label='prod,eu') == ['v2'], 'all of them'
    assert tags(side, name, label='a & b') == ['v3']
    assert tags(side, name, label='nothing') == []
    assert tags(side, name, q='prod') == ['v1', 'v2'] and tags(side, name, q='prod v2') == ['v2']
    assert tags(side, name, label='prod', limit=1) == ['v1'] and tags(side, name, label='prod', limit=1, after='v1') == ['v2']
    assert repositories(side, name, label='prod') == ['app'] and repositories(side, name) == ['app', 'other']
    r = side.api('GET', f'{V1}projects/{name}/repositories/app/tags', params={'label': ','.join('abcdefghijk')})
    assert r.status_code == 400 and 'at most 10 labels' in r.text


def test_names_and_colours_are_checked(side, name):
    make(side, name, 'prod')
    assert 'already' in str(make(side, name, 'prod', 409))
    for bad in ('', 'a,b', 'a/b', '..', ' a', 'a ', 'a\nb', 'x' * 129):
        assert 'label' in make(side, name, bad, 400)['error']['message']
    for bad in ('red', '#12345', '#12345g', '#0065abff'):
        assert 'six digits' in make(side, name, 'c', 400, color=bad)['error']['message']
    make(side, name, 'd', 400, description='two\nlines')
    make(side, name, '中文 標籤')
    side.registry.image(f'{name}/app', 'v1')
    put(side, name, 'v1', '中文 標籤')
    put(side, name, 'v1', 'unheard', 404)
    put(side, name, 'v9', 'prod', 404)
    put(side, name, 'v1', 'prod', 404, repo='nowhere')


def test_global_labels_and_those_of_other_projects(side, name):
    word = 'g-' + name
    make(side, None, word)
    side.strata.project(name + 'x')
    make(side, name + 'x', 'theirs')
    side.registry.image(f'{name}/app', 'v1')
    put(side, name, 'v1', word)
    put(side, name, 'v1', 'theirs', 404)
    mine = make(side, name, word)
    put(side, name, 'v1', word)  # the project's own comes first
    r = side.api('GET', image(name, 'v1') + '/labels').json()['items']
    assert [(x['name'], x['scope']) for x in r] == [(word, 'global'), (word, 'project')]
    assert side.api('DELETE', image(name, 'v1') + f'/labels/{word}').status_code == 204
    assert labels(side, name, 'v1') == [], 'all of that name'
    seen = side.api('GET', f'{V1}projects/{name}/labels', params={'q': word}).json()['items']
    assert sorted(x['scope'] for x in seen) == ['global', 'project'] and mine['id'] in [x['id'] for x in seen]
    page = side.api('GET', f'{V1}projects/{name}/labels', params={'q': word, 'limit': 1}).json()
    rest = side.api('GET', f'{V1}projects/{name}/labels', params={'q': word, 'limit': 1, 'after': page['next']}).json()
    assert {page['items'][0]['id'], rest['items'][0]['id']} == {x['id'] for x in seen} and rest['next'] is None
    assert side.api('DELETE', f'{V1}labels/{word}').status_code == 204


def test_who_may(side, name):
    side.registry.image(f'{name}/app', 'v1')
    make(side, name, 'prod')
    for role, labels_images, makes in (('guest', 403, 403), ('developer', 204, 403), ('maintainer', 204, 201)):
        user = f'{role}-{name}'[:60]
        side.strata.user(user, name, role)
        assert side.api('GET', f'{V1}projects/{name}/labels', user=user).status_code == 200
        put(side, name, 'v1', 'prod', labels_images, user=user)
        make(side, name, 'by-' + role, makes, user=user)
        make(side, None, 'global-by-' + role, 403, user=user)
        assert side.api('DELETE', f'{V1}projects/{name}/labels/prod', user=user).status_code == (204 if role == 'maintainer' else 403)


def test_a_deleted_label_is_gone_from_all_images(side, name):
    repo = f'{name}/app'
    make(side, name, 'old')
    for i in range(3):
        side.registry.image(repo, f'v{i}', os.urandom(50))
        put(side, name, f'v{i}', 'old')
    drop(side, f'projects/{name}/labels/old')
    assert all(labels(side, name, f'v{i}') == [] for i in range(3)) and tags(side, name, label='old') == []
    make(side, name, 'old')
    assert tags(side, name, label='old') == [], 'a new one of that name is another label'


def test_an_image_has_so_many_labels_and_no_more(side, name):
    side.registry.image(f'{name}/app', 'v1')
    for i in range(51):
        make(side, name, f'l{i:02}')
    for i in range(50):
        put(side, name, 'v1', f'l{i:02}')
    assert '50 labels' in put(side, name, 'v1', 'l50', 413)
    put(side, name, 'v1', 'l00')
    assert len(labels(side, name, 'v1')) == 50


def test_labels_come_back_from_the_trash(side, name):
    for label in ('kept', 'lost'):
        make(side, name, label)
    digest, _ = side.registry.image(f'{name}/app', 'v1')
    put(side, name, 'v1', 'kept')
    put(side, name, 'v1', 'lost')
    drop(side, f'projects/{name}/repositories/app')
    drop(side, f'projects/{name}/labels/lost')
    [item] = trash(side, name)
    restore(side, name, item)
    assert labels(side, name, digest) == ['kept']


def test_retention_keeps_what_has_a_label(side, name):
    make(side, name, 'release')
    for tag in ('v1', 'v2', 'v3'):
        side.registry.image(f'{name}/app', tag, os.urandom(50))
    put(side, name, 'v1', 'release')
    rules = [{'labels': ['release'], 'keep': 'always'}, {'keep': 'latest_pushed', 'n': 1}]
    r = side.api('PUT', f'{V1}projects/{name}/image-policy', json={'retention': {'rules': rules}})
    assert r.status_code == 200 and r.json()['retention']['rules'][0]['labels'] == ['release'], r.text
    assert side.api('POST', f'{V1}projects/{name}/retention/runs', json={'dry_run': False}).status_code == 201
    [run] = side.api('GET', f'{V1}projects/{name}/retention/runs').json()['items']
    rows = side.api('GET', f'{V1}projects/{name}/retention/runs/{run["id"]}/rows').json()['items']
    assert tags(side, name) == ['v1', 'v3'], [(r['tag'], r['why']) for r in rows]
    bad = side.api('PUT', f'{V1}projects/{name}/image-policy', json={'retention': {'rules': [{'labels': ['a,b'], 'keep': 'always'}]}})
    assert bad.status_code == 400 and 'labels' in bad.text


def test_replication_pushes_what_has_a_label(own_strata):
    near, far = Side(own_strata(args=FAST).start()), Side(own_strata(args=FAST).start())
    near.knows(far)
    near.strata.project('p')
    far.strata.project('p')
    make(near, 'p', 'release')
    for tag in ('v1', 'v2'):
        near.registry.image('p/app', tag, os.urandom(50))
    put(near, 'p', 'v1', 'release')
    rule = near.rule('out', 'push', repositories='p/**', labels=['release'])
    assert rule['labels'] == ['release']
    run = near.start('out')
    wait_for(lambda: near.get(run)['state'] == 'succeeded', what='the run')
    assert [t['reference'] for t in near.tasks(run)] == ['v1'] and far.tags('p/app') == ['v1']
    # As labels are put on images: the push of one alone is nothing to it.
    near.rule('at-once', 'push', repositories='p/**', labels=['release'], trigger='event')
    near.registry.image('p/app', 'v3', os.urandom(50))
    put(near, 'p', 'v2', 'release')
    wait_for(lambda: far.tags('p/app') == ['v1', 'v2'], what='the copy of what got the label')
    assert near.change('out', labels=[]) is None
    for wrong, says in (({'direction': 'pull', 'labels': ['release']}, 'does not tell us of its labels'),
                        ({'direction': 'push', 'labels': ['release'], 'mirror_deletions': True}, 'not together with labels'),
                        ({'direction': 'push', 'labels': 'release'}, 'expected a list')):
        r = near.api('POST', V1 + 'replication/rules', json={'name': 'wrong', 'registry': 'peer', **wrong})
        assert r.status_code == 400 and says in r.text, r.text


def test_a_kill_loses_no_label(own_strata):
    side = Side(own_strata().start())
    side.strata.project('p')
    side.registry.image('p/app', 'v1')
    make(side, 'p', 'prod')
    put(side, 'p', 'v1', 'prod')
    side.strata.kill()
    side.strata.start()
    side.registry = Registry(side.strata)
    assert labels(side, 'p', 'v1') == ['prod'] and tags(side, 'p', label='prod') == ['v1']
    assert side.strata.cli('registry', 'fsck', '--deep').returncode == 0


def test_the_command_line_does_it_too(side, name):
    cli = side.strata.cli
    side.registry.image(f'{name}/app', 'v1')
    side.registry.image(f'{name}/app', 'v2', os.urandom(50))
    cli('label', 'create', 'prod', '--color', '#cf1322', '--description', 'in use', '-p', name, check=True)
    cli('label', 'create', 'eu', '-p', name, check=True)
    cli('image', 'label', 'add', f'{name}/app:v1', 'prod', 'eu', check=True)
    assert {x['name'] for x in json.loads(cli('image', 'label', 'list', f'{name}/app:v1', '--json', check=True).stdout)} == {'prod', 'eu'}
    out = cli('image', 'list', f'{name}/app', '--label', 'prod,eu', check=True).stdout
    assert 'v1' in out and 'v2' not in out
    cli('image', 'label', 'remove', f'{name}/app:v1', 'eu', check=True)
    cli('label', 'set', 'prod', '--name', 'live', '-p', name, check=True)
    assert 'live' in cli('label', 'list', '-p', name, check=True).stdout and labels(side, name, 'v1') == ['live']
    cli('retention', 'add', '--keep', 'always', '--labels', 'live', '-p', name, check=True)
    cli('label', 'delete', 'live', '--yes', '-p', name, check=True)
    assert labels(side, name, 'v1') == []


# --- as Harbor's clients do it ---

LABEL = {'id', 'name', 'description', 'color', 'scope', 'project_id', 'creation_time', 'update_time'}


def test_labels_as_harbor_has_them(side, name):
    api, project = side.api, side.api('GET', V2 + 'projects/' + name).json()['project_id']
    digest, _ = side.registry.image(f'{name}/app', 'v1')
    side.registry.image(f'{name}/app', 'v2', os.urandom(50))
    r = api('POST', V2 + 'labels', json={'name': 'prod', 'color': '#FFFFFF', 'scope': 'p', 'project_id': project})
    assert r.status_code == 201, r.text
    where = r.headers['Location']
    label = api('GET', where).json()
    assert label.keys() == LABEL and (label['scope'], label['project_id'], label['color']) == ('p', project, '#FFFFFF')
    assert api('POST', V2 + 'labels', json={'name': 'prod', 'scope': 'p', 'project_id': project}).status_code == 409
    assert api('POST', V2 + 'labels', json={'name': 'x', 'scope': 'p'}).status_code == 400
    assert api('POST', V2 + 'labels', json={'name': 'x', 'scope': 'p', 'project_id': 10 ** 9}).status_code == 404
    listed = api('GET', V2 + 'labels', params={'scope': 'p', 'project_id': project})
    assert listed.json() == [label] and listed.headers['X-Total-Count'] == '1'
    made = api('POST', V2 + 'labels', json={'name': 'g-' + name, 'scope': 'g'}).headers['Location']
    assert [x['scope'] for x in api('GET', V2 + 'labels', params={'scope': 'g', 'name': name}).json()] == ['g']
    artifacts = f'{V2}projects/{name}/repositories/app/artifacts'
    assert api('POST', f'{artifacts}/v1/labels', json=label).status_code == 200
    assert api('POST', f'{artifacts}/v1/labels', json={'id': label['id']}).status_code == 409
    assert api('POST', f'{artifacts}/v1/labels', json={'id': 10 ** 9}).status_code == 404
    assert api('GET', f'{artifacts}/v1', params={'with_label': 'true'}).json()['labels'] == [label]
    assert 'labels' not in api('GET', f'{artifacts}/v1').json()
    found = api('GET', artifacts, params={'q': f'labels=({label["id"]})', 'with_label': 'true'})
    assert [x['digest'] for x in found.json()] == [digest] and found.headers['X-Total-Count'] == '1'
    assert api('PUT', where, json={**label, 'name': 'live', 'description': 'd'}).status_code == 200
    assert labels(side, name, 'v1') == ['live']
    assert api('DELETE', f'{artifacts}/v1/labels/{label["id"]}').status_code == 200
    assert api('DELETE', f'{artifacts}/v1/labels/{label["id"]}').status_code == 404
    for path in (where, made):
        assert api('DELETE', path).status_code == 200 and api('GET', path).status_code == 404


def test_who_may_in_harbors_way(side, name):
    project = side.api('GET', V2 + 'projects/' + name).json()['project_id']
    path = side.api('POST', V2 + 'labels', json={'name': 'prod', 'scope': 'p', 'project_id': project}).headers['Location']
    for role, reads, changes in (('guest', 200, 403), ('developer', 200, 403), ('maintainer', 200, 200), (None, 404, 404)):
        user = f'{role or "no"}-{name}'[:60]
        side.strata.user(user, *((name, role) if role else ()))
        answer = side.api('GET', path, user=user)
        assert answer.status_code == reads
        if reads == 404:  # nor does he learn that it is there
            none = side.api('GET', V2 + 'labels/987654', user=user).json()['errors'][0]
            assert answer.json()['errors'][0]['message'] == none['message'].replace('987654', path.rpartition('/')[2])
        assert side.api('PUT', path, user=user, json={'name': 'prod'}).status_code == changes
        assert side.api('POST', V2 + 'labels', user=user, json={'name': 'mine-' + name, 'scope': 'g'}).status_code == 403
        assert side.api('GET', V2 + 'labels', user=user, params={'scope': 'p', 'project_id': project}).status_code == reads
    assert side.api('DELETE', path, user=user).status_code == 404


def test_a_policy_of_harbor_filters_by_label(own_strata):
    near, far = Side(own_strata(args=FAST).start()), Side(own_strata(args=FAST).start())
    near.knows(far)
    [peer] = near.api('GET', V2 + 'registries').json()
    policy = {'name': 'out', 'dest_registry': {'id': peer['id']}, 'trigger': {'type': 'manual'},
              'filters': [{'type': 'name', 'value': 'p/**'}, {'type': 'label', 'value': ['release', 'eu'], 'decoration': 'matches'}]}
    r = near.api('POST', V2 + 'replication/policies', json=policy)
    assert r.status_code == 201, r.text
    assert near.api('GET', V1 + 'replication/rules/out').json()['labels'] == ['release', 'eu']
    told = near.api('GET', r.headers['Location']).json()['filters']
    assert {'type': 'label', 'value': ['release', 'eu'], 'decoration': 'matches'} in told


# --- logos ---

def png(width, height, noise=0):
    """A grey picture; `noise` makes it larger, and another one."""
    def chunk(kind, body):
        return struct.pack('>I', len(body)) + kind + body + struct.pack('>I', zlib.crc32(kind + body))
    rows = b''.join(b'\0' + b'\x80' * width for _ in range(height))
    return (b'\x89PNG\r\n\x1a\n' + chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 0, 0, 0, 0)) +
            chunk(b'IDAT', zlib.compress(rows)) + (chunk(b'tEXt', os.urandom(noise)) if noise else b'') + chunk(b'IEND', b''))


JPEG = b'\xff\xd8\xff\xe0\0\4ab\xff\xc0\0\x0b\x08\0\x10\0\x20\1'
WEBP = b'RIFF\x16\0\0\0WEBPVP8L\x0a\0\0\0\x2f\x1f\xc0\x03' + b'\0' * 6


def logo(side, name, body, status=204, **kwargs):
    r = side.api('PUT', f'{V1}projects/{name}/logo', data=body, headers={'Content-Type': 'text/html'}, **kwargs)
    assert r.status_code == status, r.text
    return r.text


def shown(side, name):
    return side.api('GET', f'{V1}projects/{name}').json()['logo']


def test_a_project_gets_a_logo(side, name):
    assert shown(side, name) is None and side.api('GET', f'{V1}projects/{name}/logo').status_code == 404
    versions = set()
    for body, kind in ((png(16, 16), 'image/png'), (JPEG, 'image/jpeg'), (WEBP, 'image/webp')):
        logo(side, name, body)
        versions.add(shown(side, name))
        r = side.api('GET', f'{V1}projects/{name}/logo')
        # What it is is told by its bytes, whatever the client says; and it is nothing but a picture.
        assert r.content == body and r.headers['Content-Type'] == kind
        assert r.headers['X-Content-Type-Options'] == 'nosniff' and 'sandbox' in r.headers['Content-Security-Policy']
        again = side.api('GET', f'{V1}projects/{name}/logo', headers={'If-None-Match': r.headers['ETag']})
        assert again.status_code == 304 and again.content == b''
    assert len(versions) == 3
    listed = {x['name']: x['logo'] for x in side.api('GET', V1 + 'projects', params={'limit': 1000, 'q': name}).json()['items']}
    assert listed[name] in versions
    assert side.api('DELETE', f'{V1}projects/{name}/logo').status_code == 204 and shown(side, name) is None


def test_what_is_no_picture_or_too_large_is_no_logo(side, name):
    for body in (b'', b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>', b'GIF89a' + b'\0' * 20):
        assert 'PNG, JPEG or WebP' in logo(side, name, body, 400)
    assert 'does not tell its size' in logo(side, name, png(1, 1)[:20], 400)
    assert '1025 x 1 pixels' in logo(side, name, png(1025, 1), 400)
    assert 'at most 64 KiB' in logo(side, name, png(1, 1, 70_000), 413)
    logo(side, name, png(1024, 1024, 60_000))


def test_who_may_set_and_see_a_logo(side, name):
    logo(side, name, png(8, 8))
    for role, status in (('guest', 403), ('developer', 403), ('maintainer', 204)):
        user = f'{role}-{name}'[:60]
        side.strata.user(user, name, role)
        logo(side, name, png(9, 9), status, user=user)
        assert side.api('GET', f'{V1}projects/{name}/logo', user=user).status_code == 200
    side.strata.user('out-' + name)
    assert side.api('GET', f'{V1}projects/{name}/logo', user='out-' + name).status_code == 404
    side.api('PATCH', f'{V1}projects/{name}', json={'public': True})
    assert side.api('GET', f'{V1}projects/{name}/logo', user='out-' + name).status_code == 200


def test_a_kill_loses_no_logo_and_a_deleted_project_takes_its_own_along(own_strata, tmp_path):
    strata = own_strata().start()
    strata.project('p')
    (tmp_path / 'logo.png').write_bytes(png(32, 32))
    strata.cli('project', 'logo', 'p', str(tmp_path / 'logo.png'), check=True)
    strata.kill()
    strata.start()
    assert strata.api('GET', V1 + 'projects/p/logo').content == png(32, 32)
    assert strata.api('DELETE', V1 + 'projects/p').status_code == 204
    strata.project('p')
    assert strata.api('GET', V1 + 'projects/p/logo').status_code == 404
    strata.cli('project', 'logo', 'p', str(tmp_path / 'logo.png'), check=True)
    strata.cli('project', 'logo', 'p', '--remove', check=True)
    assert strata.api('GET', V1 + 'projects/p').json()['logo'] is None
