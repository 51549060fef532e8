"""Robot accounts: what they may and nothing else, with real clients; secrets that stop at once; expiry; kill -9."""
import json
import subprocess
import threading

import pytest
import requests

from conftest import wait_for

PUSH = ['image:pull', 'image:push']


def robots(project='bots'):
    return f'/api/v1/projects/{project}/robots' if project else '/api/v1/robots'


def make(strata, name, permissions=None, project='bots', user='admin', status=201, **more):
    """A robot; returns the answer: {"robot": ..., "secret": ...}."""
    body = {'name': name, **more}
    if project:
        strata.project(project)
        body['permissions'] = permissions
    r = strata.api('POST', robots(project), user=user, json=body)
    assert r.status_code == status, f'{r.status_code} {r.text}'
    return r.json()


def basic(strata, made, method, path, **kwargs):
    return requests.request(method, strata.url + path, auth=(made['robot']['login'], made['secret']), timeout=60, **kwargs)


def bearer(strata, made, method, path, **kwargs):
    return strata.api(method, path, token=made['secret'], **kwargs)


def registry_token(strata, made, scope):
    r = basic(strata, made, 'GET', '/service/token', params={'service': 'strata', 'scope': scope})
    assert r.status_code == 200, r.text
    return r.json()


# --- real clients ---

@pytest.fixture(scope='module')
def work(scratch):
    path = scratch / 'robots'
    path.mkdir()
    return path


@pytest.fixture(scope='module')
def image(strata):
    return strata.busybox


def run(*command, **kwargs):
    return subprocess.run(list(map(str, command)), capture_output=True, text=True, timeout=120, **kwargs)


def test_skopeo_logs_in_pushes_and_pulls_as_a_robot(strata, work, image):
    made = make(strata, 'ci', PUSH)
    strata.project('bots-other')
    host = f'127.0.0.1:{strata.port}'
    auth = work / 'auth.json'
    assert made['robot']['login'] == 'robot$bots+ci'
    r = run('skopeo', 'login', '--tls-verify=false', '--authfile', auth, '-u', 'robot$bots+ci', '--password-stdin', host, input=made['secret'])
    assert r.returncode == 0, r.stderr
    source = make(strata, 'reader', ['image:pull'], project='demo')
    r = run('skopeo', 'copy', '--src-tls-verify=false', '--src-creds', f'robot$demo+reader:{source["secret"]}',
            f'docker://{host}/{image}', f'oci:{work}/image:1')
    assert r.returncode == 0, r.stderr
    r = run('skopeo', 'copy', '--dest-tls-verify=false', '--authfile', auth, f'oci:{work}/image:1', f'docker://{host}/bots/app:1')
    assert r.returncode == 0, r.stderr
    r = run('skopeo', 'inspect', '--tls-verify=false', '--authfile', auth, f'docker://{host}/bots/app:1')
    assert r.returncode == 0 and json.loads(r.stdout)['Name'].endswith('/bots/app'), r.stderr
    r = run('skopeo', 'copy', '--dest-tls-verify=false', '--authfile', auth, f'oci:{work}/image:1', f'docker://{host}/bots-other/app:1')
    assert r.returncode != 0, 'not in a project that it was not given'
    r = run('skopeo', 'delete', '--tls-verify=false', '--authfile', auth, f'docker://{host}/bots/app:1')
    assert r.returncode != 0, 'image:delete was not given'
    r = run('skopeo', 'login', '--tls-verify=false', '--authfile', auth, '-u', 'robot$bots+nobody', '--password-stdin', host, input=made['secret'])
    assert r.returncode != 0, 'the secret goes with its own name'


def test_podman_logs_in_and_pulls_as_a_robot(strata, work, image):
    made = make(strata, 'puller', ['image:pull'], project='demo')
    host = f'127.0.0.1:{strata.port}'
    base = ['podman', '--root', work / 'storage', '--runroot', work / 'run', '--storage-driver', 'vfs']
    auth = work / 'podman.json'
    try:
        r = run(*base, 'login', '--tls-verify=false', '--authfile', auth, '-u', made['robot']['login'], '--password-stdin', host, input=made['secret'])
        assert r.returncode == 0, r.stderr
        r = run(*base, 'pull', '--tls-verify=false', '--authfile', auth, f'{host}/{image}')
        assert r.returncode == 0, r.stderr
        r = run(*base, 'push', '--tls-verify=false', '--authfile', auth, f'{host}/{image}', f'docker://{host}/demo/pushed:1')
        assert r.returncode != 0, 'image:push was not given'
    finally:
        run(*base, 'rmi', '-a', '-f')


def test_a_public_image_is_pulled_with_the_robots_login_too(strata):
    strata.project('bots-public', public=True)
    made = make(strata, 'builder', PUSH)
    assert 'pull' in registry_token(strata, made, 'repository:bots-public/x:pull,push')['scope']
    assert 'push' not in registry_token(strata, made, 'repository:bots-public/x:pull,push')['scope']


# --- the token service ---

def test_the_token_service_gives_a_robot_what_it_may(strata):
    made = make(strata, 'tokens', PUSH)
    answer = registry_token(strata, made, 'repository:bots/app:pull,push,delete')
    assert answer['scope'] == 'repository:bots/app:pull,push'
    r = strata.api('GET', '/v2/bots/none/tags/list', token=registry_token(strata, made, 'repository:bots/none:pull')['token'])
    assert r.status_code == 404, r.text
    r = requests.post(strata.url + '/service/token', timeout=30, data={
        'grant_type': 'password', 'username': made['robot']['login'], 'password': made['secret'], 'service': 'strata',
        'client_id': 'tests', 'access_type': 'offline', 'scope': 'repository:bots/app:pull'})
    assert r.status_code == 200 and r.json()['scope'] == 'repository:bots/app:pull', r.text
    refresh = {'grant_type': 'refresh_token', 'refresh_token': r.json()['refresh_token'], 'service': 'strata', 'client_id': 'tests',
               'scope': 'repository:bots/app:push'}
    r = requests.post(strata.url + '/service/token', timeout=30, data=refresh)
    assert r.status_code == 200 and r.json()['scope'] == 'repository:bots/app:push', r.text
    assert strata.api('POST', robots() + '/tokens/rotate').status_code == 200
    assert requests.post(strata.url + '/service/token', timeout=30, data=refresh).status_code == 401


def test_the_catalog_shows_a_robot_the_images_that_it_may_pull(strata, image):
    puller = make(strata, 'cat-puller', ['image:pull'], project='demo')
    worker = make(strata, 'cat-worker', ['job:read'], project='demo')
    names = [requests.get(strata.url + '/v2/_catalog', timeout=30, headers={'Authorization': 'Bearer ' + registry_token(
        strata, m, 'registry:catalog:*')['token']}).json()['repositories'] for m in (puller, worker)]
    assert 'demo/busybox' in names[0] and 'demo/busybox' not in names[1]


# --- it stops at once ---

def stops(strata, made, action):
    """Everything that was made of the secret is void when `action` has answered."""
    jwt = registry_token(strata, made, 'repository:bots/app:pull')['token']
    assert strata.api('GET', '/v2/bots/app/tags/list', token=jwt).status_code in (200, 404)
    with strata.api('GET', '/api/v1/events', token=made['secret'], stream=True) as stream:
        lines = stream.iter_lines(decode_unicode=True, chunk_size=1)
        assert next(lines).startswith('retry:')
        action()
        for _ in lines:
            pass  # the stream ends by itself
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 401
    assert basic(strata, made, 'GET', '/v2/').status_code == 401
    assert strata.api('GET', '/v2/bots/app/tags/list', token=jwt).status_code == 401


def test_disabling_rotating_and_deleting_act_at_once_on_jwts_and_streams(strata):
    made = make(strata, 'stop', ['image:pull'])
    path = robots() + '/stop'
    stops(strata, made, lambda: strata.api('PATCH', path, json={'disabled': True}))
    assert strata.api('PATCH', path, json={'disabled': False}).status_code == 200
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 200
    new = {}
    stops(strata, made, lambda: new.update(strata.api('POST', path + '/rotate').json()))
    assert new['secret'] != made['secret'] and bearer(strata, new, 'GET', '/api/v1/me').status_code == 200
    stops(strata, new, lambda: strata.api('DELETE', path))
    assert strata.api('GET', path).status_code == 404


def test_a_log_that_a_robot_follows_is_cut_with_its_rights(strata, image):
    made = make(strata, 'follower', ['job:read'], project='demo')
    job = strata.submit('demo', {'image': image, 'command': ['sh', '-c', 'echo begun; sleep 600'], 'resources': {'cpu': '100m', 'memory': '32Mi'}})
    strata.wait_job('demo', job['id'], ('running',))
    with bearer(strata, made, 'GET', f'/api/v1/projects/demo/jobs/{job["id"]}/log?follow=1', stream=True) as log:
        parts = log.iter_content(None)
        assert next(parts) == b'begun\n'
        assert strata.api('PATCH', robots('demo') + '/follower', json={'permissions': ['volume:read']}).status_code == 200
        with pytest.raises(requests.exceptions.ChunkedEncodingError):
            for _ in parts:
                pass
    strata.api('POST', f'/api/v1/projects/demo/jobs/{job["id"]}/cancel')


def test_a_robot_expires_by_the_clock(strata):
    made = make(strata, 'brief', ['image:pull'], expires_in_seconds=2)
    jwt = registry_token(strata, made, 'repository:bots/app:pull')['token']
    assert made['robot']['expires_at']
    wait_for(lambda: strata.api('GET', '/v2/bots/app/tags/list', token=jwt).status_code == 401, 10, 'the JWT outlived its robot')
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 401
    assert strata.api('PATCH', robots() + '/brief', json={'expires_in_seconds': None}).json()['expires_at'] is None
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 200


def test_a_robot_goes_with_its_project(strata):
    made = make(strata, 'ci', ['project:read'], project='bots-doomed')
    everywhere = make(strata, 'mixed', project=None, grants=[{'project': 'bots-doomed', 'permissions': ['job:read']},
                                                             {'project': 'bots', 'permissions': ['job:read']}])
    assert bearer(strata, made, 'GET', '/api/v1/projects/bots-doomed').json()['role'] == 'robot'
    assert strata.api('DELETE', '/api/v1/projects/bots-doomed').status_code == 204
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 401
    assert [g['project'] for g in bearer(strata, everywhere, 'GET', '/api/v1/me').json()['grants']] == ['bots']
    strata.project('bots-doomed')
    assert bearer(strata, made, 'GET', '/api/v1/me').status_code == 401
    assert bearer(strata, everywhere, 'GET', '/api/v1/projects/bots-doomed/jobs').status_code == 404


def test_rotating_while_the_robot_works_leaves_no_old_secret_alive(strata):
    made = make(strata, 'busy', ['project:read'])
    end = threading.Event()
    codes = set()

    def work():
        while not end.is_set():
            codes.add(bearer(strata, made, 'GET', '/api/v1/projects/bots').status_code)
    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    try:
        for _ in range(10):
            old, new = made, strata.api('POST', robots() + '/busy/rotate').json()
            assert bearer(strata, old, 'GET', '/api/v1/me').status_code == 401
            made = new
    finally:
        end.set()
        for t in threads:
            t.join()
    assert codes <= {200, 401} and bearer(strata, made, 'GET', '/api/v1/me').status_code == 200


def test_what_was_answered_survives_a_kill(own_strata):
    s = own_strata().start()
    keep, gone = make(s, 'keep', ['project:read']), make(s, 'gone', ['project:read'])
    turned = make(s, 'turned', ['project:read'])
    new = s.api('POST', robots() + '/turned/rotate').json()
    assert s.api('DELETE', robots() + '/gone').status_code == 204
    s.kill()
    s.start()
    assert bearer(s, keep, 'GET', '/api/v1/projects/bots').status_code == 200
    assert bearer(s, new, 'GET', '/api/v1/projects/bots').status_code == 200
    assert {bearer(s, m, 'GET', '/api/v1/me').status_code for m in (gone, turned)} == {401}
    for path in s.state.glob('state.db*'):
        assert keep['secret'].encode() not in path.read_bytes(), 'a secret is kept as its hash'


# --- what it never is ---

def test_a_robot_has_no_sessions_tokens_users_robots_or_memberships(strata):
    made = make(strata, 'lonely', [p for p in strata.api('GET', '/api/v1/permissions').json()['roles']['maintainer']
                                   if p not in ('public', 'signed-in', 'person', 'project:manage')])
    login = made['robot']['login']
    r = requests.post(strata.url + '/api/v1/login', json={'user': login, 'password': made['secret']}, timeout=30)
    assert r.status_code == 401 and 'Set-Cookie' not in r.headers
    for method, path, body in (('POST', '/api/v1/tokens', {'name': 'x'}), ('GET', '/api/v1/tokens', None),
                               ('PUT', '/api/v1/me/password', {'old': made['secret'], 'new': 'correct horse battery'}),
                               ('POST', '/api/v1/users', {'name': 'x', 'password': 'correct horse battery'}),
                               ('POST', '/api/v1/projects', {'name': 'bots-own'}), ('POST', '/api/v1/groups', {'name': 'x'}),
                               ('POST', robots(), {'name': 'x', 'permissions': ['job:read']}),
                               ('POST', robots(None), {'name': 'x', 'grants': [{'project': '*', 'permissions': ['job:read']}]}),
                               ('POST', robots() + '/lonely/rotate', None), ('GET', '/api/v1/audit', None),
                               ('PATCH', '/api/v1/projects/bots', {'public': True}), ('DELETE', '/api/v1/projects/bots', None)):
        r = bearer(strata, made, method, path, json=body)
        assert r.status_code == 403, f'{method} {path}: {r.status_code} {r.text}'
    me = bearer(strata, made, 'GET', '/api/v1/me').json()
    assert me['kind'] == 'robot' and me['name'] == login and me['projects'] == [] and me['is_admin'] is False
    assert me['grants'][0]['project'] == 'bots'
    assert login not in strata.api('GET', '/api/v1/projects/bots/members').text
    assert strata.api('PUT', '/api/v1/projects/bots/members/' + login.replace('$', '%24').replace('+', '%2B'), json={'role': 'guest'}).status_code == 404


def test_nobody_gives_a_robot_more_than_he_holds(strata):
    strata.user('bot-maintainer', 'bots', 'maintainer')
    strata.user('bot-developer', 'bots', 'developer')
    make(strata, 'dev', ['job:read'], user='bot-developer', status=403)
    make(strata, 'strong', ['secret:write', 'job:exec'], user='bot-maintainer')
    make(strata, 'manager', ['project:manage'], user='bot-maintainer', status=400)
    make(strata, 'root', ['user:manage'], status=400)
    make(strata, 'root', ['signed-in'], status=400)
    narrow = strata.api('POST', '/api/v1/tokens', user='bot-maintainer', json={'name': 'n', 'scopes': ['project:manage', 'job:read']}).json()['token']
    r = strata.api('POST', robots(), token=narrow, json={'name': 'n1', 'permissions': ['job:read', 'secret:write']})
    assert r.status_code == 403 and 'secret:write' in r.json()['error']['message']
    assert strata.api('POST', robots(), token=narrow, json={'name': 'n2', 'permissions': ['job:read']}).status_code == 201
    assert strata.api('PATCH', robots() + '/n2', token=narrow, json={'permissions': ['secret:write']}).status_code == 403
    assert strata.api('POST', robots() + '/strong/rotate', token=narrow).status_code == 403, 'nor takes over a stronger one'
    assert strata.api('GET', robots(None), user='bot-maintainer').status_code == 403


def test_a_robot_of_the_system_works_where_it_was_sent(strata):
    strata.project('bots-a')
    strata.project('bots-b')
    made = make(strata, 'mirror-32', project=None, grants=[{'project': 'bots-a', 'permissions': ['job:read', 'project:read']},
                                                        {'project': 'bots', 'permissions': ['project:read']}], description='copies')
    assert made['robot']['login'] == 'robot$mirror-32' and made['robot']['project'] is None
    assert basic(strata, made, 'GET', '/api/v1/projects/bots-a/jobs').status_code == 200
    assert basic(strata, made, 'GET', '/api/v1/projects/bots/jobs').status_code == 403
    assert basic(strata, made, 'GET', '/api/v1/projects/bots-b').status_code == 404
    names = {p['name'] for p in bearer(strata, made, 'GET', '/api/v1/projects?limit=1000').json()['items'] if not p['public']}
    assert names == {'bots', 'bots-a'}
    everywhere = make(strata, 'all', project=None, grants=[{'project': '*', 'permissions': ['project:read']}])
    assert basic(strata, everywhere, 'GET', '/api/v1/projects/bots-b').status_code == 200
    found = bearer(strata, everywhere, 'GET', '/api/v1/search?q=bots-b').json()
    assert 'bots-b' in json.dumps(found)
    assert 'bots-b' not in json.dumps(bearer(strata, made, 'GET', '/api/v1/search?q=bots-b').json())


def test_a_job_belongs_to_the_robot_that_submitted_it(strata, image):
    made = make(strata, 'runner', ['job:submit', 'job:cancel', 'job:read', 'image:pull'], project='demo')
    spec = {'image': image, 'command': ['sleep', '600'], 'resources': {'cpu': '100m', 'memory': '32Mi'}}
    job = bearer(strata, made, 'POST', '/api/v1/projects/demo/jobs', json=spec)
    assert job.status_code == 202, job.text
    job = job.json()
    assert strata.job('demo', job['id'])['user'] == 'robot$demo+runner'
    assert bearer(strata, made, 'POST', f'/api/v1/projects/demo/jobs/{job["id"]}/cancel').status_code < 300
    assert strata.wait_job('demo', job['id'])['state'] == 'cancelled'
    rows = strata.api('GET', '/api/v1/audit', params={'user': 'robot$demo+runner'}).json()['items']
    assert any(r['path'] == '/api/v1/projects/demo/jobs' and r['user'] == 'robot$demo+runner' for r in rows)


# --- hostile input ---

@pytest.mark.parametrize('body', [
    {}, [], {'name': 'x'}, {'name': 'x', 'permissions': []}, {'name': 'x', 'permissions': ['nothing:such']}, {'name': 'x', 'permissions': [7]},
    {'name': 'x', 'permissions': 'job:read'}, {'name': 'Upper', 'permissions': ['job:read']}, {'name': '', 'permissions': ['job:read']},
    {'name': 'a+b', 'permissions': ['job:read']}, {'name': 'a$b', 'permissions': ['job:read']}, {'name': 'a/b', 'permissions': ['job:read']},
    {'name': 'x' * 65, 'permissions': ['job:read']}, {'name': 'a\nb', 'permissions': ['job:read']}, {'name': None, 'permissions': ['job:read']},
    {'name': 'x', 'permissions': ['job:read'], 'expires_in_seconds': 0}, {'name': 'x', 'permissions': ['job:read'], 'expires_in_seconds': -1},
    {'name': 'x', 'permissions': ['job:read'], 'expires_in_seconds': 2 ** 62}, {'name': 'x', 'permissions': ['job:read'], 'expires_in_seconds': 'soon'},
    {'name': 'x', 'permissions': ['job:read'], 'description': 'd' * 501}, {'name': 'x', 'permissions': ['job:read'], 'description': 'a\x1b[2J'},
    {'name': 'x', 'permissions': ['job:read'], 'is_admin': True}, {'name': 'x', 'permissions': ['job:read'], 'grants': []},
    {'name': 'x', 'permissions': None}, {'name': 'x', 'permissions': ['job:read'], 'disabled': 'yes'}])
def test_a_broken_request_is_refused_with_a_sentence(strata, body):
    strata.project('bots')
    r = strata.api('POST', robots(), json=body)
    assert r.status_code == 400 and len(r.json()['error']['message']) > 10, r.text


@pytest.mark.parametrize('grants', [None, [], {}, [7], [{}], [{'project': 'bots'}], [{'project': 7, 'permissions': ['job:read']}],
                                    [{'project': 'bots', 'permissions': []}], [{'project': 'bots', 'permissions': ['job:read'], 'x': 1}],
                                    [{'project': 'bots', 'permissions': ['job:read']}] * 2, [{'project': 'bots', 'permissions': ['audit:read']}],
                                    [{'project': f'p{i}', 'permissions': ['job:read']} for i in range(101)]])
def test_broken_grants_are_refused_with_a_sentence(strata, grants):
    strata.project('bots')
    r = strata.api('POST', robots(None), json={'name': 'x', 'grants': grants})
    assert r.status_code == 400 and len(r.json()['error']['message']) > 10, r.text
    r = strata.api('POST', robots(None), json={'name': 'x', 'grants': [{'project': 'no-such', 'permissions': ['job:read']}]})
    assert r.status_code == 404


def test_names_that_are_no_robots_sign_nobody_in(strata):
    made = make(strata, 'genuine', ['project:read'])
    for name in ('robot$', 'robot$bots+', 'robot$+genuine', 'robot$genuine', 'robot$bots+genuine+', 'robot$bots+genuine\x00', 'bots+genuine', 'genuine',
                 'ROBOT$bots+genuine', 'robot$' + 'x' * 500, 'admin', ''):
        assert requests.get(strata.url + '/api/v1/me', auth=(name, made['secret']), timeout=30).status_code in (400, 401), name
    for secret in ('', 'strata_', made['secret'][:-1], made['secret'] + 'x', made['secret'].upper()):
        assert requests.get(strata.url + '/api/v1/me', auth=('robot$bots+genuine', secret), timeout=30).status_code in (401, 429), secret


def test_a_project_has_200_robots_at_most(own_strata):
    s = own_strata(args=['--set', 'access.robot_expiry_max=1d']).start()
    s.project('bots')
    r = s.api('POST', robots(), json={'name': 'for-ever', 'permissions': ['job:read']})
    assert r.status_code == 400 and 'access.robot_expiry_max' in r.json()['error']['message']
    for i in range(200):
        make(s, f'r{i}', ['job:read'], expires_in_seconds=3600)
    r = s.api('POST', robots(), json={'name': 'more', 'permissions': ['job:read'], 'expires_in_seconds': 60})
    assert r.status_code == 413 and '200' in r.json()['error']['message'], r.text
    page = s.api('GET', robots() + '?limit=150').json()
    rest = s.api('GET', robots() + f'?limit=150&after={page["next"]}').json()
    assert len(page['items']) == 150 and len(rest['items']) == 50 and rest['next'] is None


# --- the command line ---

def test_the_command_line_makes_shows_changes_and_deletes_robots(strata):
    strata.project('bots')
    strata.project('demo')
    r = strata.cli('robot', 'create', 'cli', '--allow', 'image:pull', '--allow', 'job:read', '--description', 'by hand', '-p', 'bots', check=True)
    secret = r.stdout.strip()
    assert secret.startswith('strata_') and "robot$bots+cli" in r.stderr
    who = strata.cli('whoami', '--token', secret, check=True).stdout
    assert 'robot$bots+cli' in who and 'bots: image:pull job:read' in who
    assert 'cli' in strata.cli('robot', 'list', '-p', 'bots', check=True).stdout
    shown = strata.cli('robot', 'show', 'cli', '-p', 'bots', check=True).stdout
    assert 'by hand' in shown and 'bots: image:pull job:read' in shown
    strata.cli('robot', 'set', 'cli', '--allow', 'job:read', '--expires', 'never', '--disabled', 'no', '-p', 'bots', check=True)
    robot = json.loads(strata.cli('robot', 'show', 'cli', '--json', '-p', 'bots', check=True).stdout)
    assert robot['grants'] == [{'project': 'bots', 'permissions': ['job:read']}] and robot['expires_at'] is None
    fresh = strata.cli('robot', 'rotate', 'cli', '-p', 'bots', check=True).stdout.strip()
    assert fresh != secret and strata.cli('whoami', '--token', secret).returncode != 0
    strata.cli('robot', 'delete', 'cli', '--yes', '-p', 'bots', check=True)
    assert strata.cli('robot', 'show', 'cli', '-p', 'bots').returncode != 0
    made = strata.cli('robot', 'create', 'cli-system', '--system', '--in', 'bots', '--in', 'demo', '--allow', 'job:read', check=True)
    assert 'robot$cli-system' in made.stderr
    assert 'cli-system' in strata.cli('robot', 'list', '--system', check=True).stdout
    assert strata.cli('robot', 'create', 'none', '-p', 'bots').returncode == 65
    assert strata.cli('robot', 'list', env={'STRATA_PROJECT': ''}).returncode == 65
    strata.cli('robot', 'delete', 'cli-system', '--system', '--yes', check=True)
