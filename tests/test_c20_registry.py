"""The registry as its clients see it: skopeo, podman, buildah and docker unchanged, then every turn of
the protocol by hand (OCI distribution-spec 1.1, Docker token service)."""
import base64
import gzip
import hashlib
import io
import json
import os
import pathlib
import re
import shutil
import subprocess
import tarfile
import tempfile
import threading

import pytest
import requests

from conftest import wait_for

OCI_MANIFEST = 'application/vnd.oci.image.manifest.v1+json'
OCI_INDEX = 'application/vnd.oci.image.index.v1+json'
OCI_CONFIG = 'application/vnd.oci.image.config.v1+json'
OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar+gzip'


def sha(data, algorithm='sha256'):
    return f'{algorithm}:' + hashlib.new(algorithm, data).hexdigest()


class Registry:
    """/v2/ with Basic credentials, or with a token."""

    def __init__(self, strata, user='admin', password=None):
        self.strata = strata
        self.auth = (user, password or strata.admin_password) if user else None

    def __call__(self, method, path, **kwargs):
        url = path if path.startswith('http') else self.strata.url + path
        kwargs.setdefault('timeout', 60)
        if 'token' in kwargs:
            kwargs['headers'] = {**kwargs.get('headers', {}), 'Authorization': 'Bearer ' + kwargs.pop('token')}
        else:
            kwargs.setdefault('auth', self.auth)
        return requests.request(method, url, allow_redirects=False, **kwargs)

    def token(self, *scopes, **kwargs):
        r = self('GET', '/service/token', params=[('service', 'strata')] + [('scope', s) for s in scopes], **kwargs)
        assert r.status_code == 200, r.text
        return r.json()['token']

    def upload(self, repo, **kwargs):
        r = self('POST', f'/v2/{repo}/blobs/uploads/', **kwargs)
        assert r.status_code == 202, r.text
        return r.headers['Location']

    def blob(self, repo, data, algorithm='sha256'):
        r = self('PUT', self.upload(repo), params={'digest': sha(data, algorithm)}, data=data)
        assert r.status_code == 201, r.text
        return sha(data, algorithm)

    def manifest(self, repo, ref, body, media_type=OCI_MANIFEST, status=201):
        r = self('PUT', f'/v2/{repo}/manifests/{ref}', data=body, headers={'Content-Type': media_type})
        assert r.status_code == status, f'{r.status_code} {r.text}'
        return r

    def image(self, repo, tag, layer=None, architecture='amd64', **more):
        """A small image; returns its digest and manifest."""
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode='w') as t:
            data = layer or os.urandom(64)
            info = tarfile.TarInfo('file')
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        packed = gzip.compress(tar.getvalue(), mtime=0)
        config = json.dumps({'os': 'linux', 'architecture': architecture, 'config': {},
                             'rootfs': {'type': 'layers', 'diff_ids': [sha(tar.getvalue())]}}).encode()
        self.blob(repo, packed)
        self.blob(repo, config)
        body = json.dumps({
            'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
            'config': {'mediaType': OCI_CONFIG, 'digest': sha(config), 'size': len(config)},
            'layers': [{'mediaType': OCI_LAYER, 'digest': sha(packed), 'size': len(packed)}], **more}).encode()
        self.manifest(repo, tag or sha(body), body)
        return sha(body), body


@pytest.fixture(scope='module')
def registry(strata):
    strata.project('reg')
    strata.project('reg-public', public=True)
    return Registry(strata)


@pytest.fixture(scope='module')
def developer(strata, registry):
    strata.user('reg-dev', 'reg', 'developer')
    return Registry(strata, 'reg-dev', 'correct horse battery')


@pytest.fixture(scope='module')
def guest(strata, registry):
    strata.user('reg-guest', 'reg', 'guest')
    return Registry(strata, 'reg-guest', 'correct horse battery')


def code(r):
    return r.json()['errors'][0]['code']


# --- real clients ---

@pytest.fixture(scope='module')
def work(scratch):
    return pathlib.Path(tempfile.mkdtemp(prefix='registry-', dir=scratch))  # test_c20_registry_traps asks for one too


@pytest.fixture(scope='module')
def context(work):
    """FROM scratch with a static busybox: an image made without network."""
    path = work / 'context'
    path.mkdir()
    shutil.copy('/bin/busybox', path / 'busybox')
    (path / 'Dockerfile').write_text(
        'FROM scratch\nCOPY busybox /bin/busybox\nCOPY Dockerfile /etc/Dockerfile\nCMD ["/bin/busybox", "true"]\n')
    return path


def command(*args, env=None, input=None, check=True, timeout=180):
    r = subprocess.run([str(a) for a in args], input=input, capture_output=True, text=True, timeout=timeout,
                       env={**os.environ, **(env or {})})
    assert not check or r.returncode == 0, f'{args}: {r.returncode}\n{r.stdout}\n{r.stderr}'
    return r


def need(program):
    if not shutil.which(program):
        pytest.skip(f'{program} is not installed')


@pytest.fixture(scope='module')
def layout(work):
    """An OCI layout with one image of two layers."""
    path = work / 'layout'
    blobs = path / 'blobs' / 'sha256'
    blobs.mkdir(parents=True)

    def put(data, media_type):
        (blobs / sha(data)[7:]).write_bytes(data)
        return {'mediaType': media_type, 'digest': sha(data), 'size': len(data)}
    layers, diffs = [], []
    for n in range(2):
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode='w') as t:
            data = os.urandom(200_000)
            info = tarfile.TarInfo(f'file{n}')
            info.size = len(data)
            t.addfile(info, io.BytesIO(data))
        diffs.append(sha(tar.getvalue()))
        layers.append(put(gzip.compress(tar.getvalue()), OCI_LAYER))
    config = put(json.dumps({'os': 'linux', 'architecture': 'amd64', 'config': {},
                             'rootfs': {'type': 'layers', 'diff_ids': diffs}}).encode(), OCI_CONFIG)
    image = put(json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': config,
                            'layers': layers}).encode(), OCI_MANIFEST)
    (path / 'oci-layout').write_text('{"imageLayoutVersion":"1.0.0"}')
    (path / 'index.json').write_text(json.dumps({
        'schemaVersion': 2,
        'manifests': [{**image, 'annotations': {'org.opencontainers.image.ref.name': 'v1'}}]}))
    return path


def test_skopeo_round_trip_copy_list_and_delete(strata, registry, layout, work):
    need('skopeo')
    where, creds = f'docker://127.0.0.1:{strata.port}/reg', f'admin:{strata.admin_password}'
    command('skopeo', 'copy', '--dest-tls-verify=false', '--dest-creds', creds, f'oci:{layout}:v1', f'{where}/sk:v1')
    command('skopeo', 'copy', '--src-tls-verify=false', '--src-creds', creds, f'{where}/sk:v1', f'dir:{work}/pulled')
    pulled = {p.name: p.read_bytes() for p in (work / 'pulled').iterdir()}
    for blob in (layout / 'blobs' / 'sha256').iterdir():
        assert pulled[blob.name if blob.name in pulled else 'manifest.json'] == blob.read_bytes()
    command('skopeo', 'copy', '--src-tls-verify=false', '--dest-tls-verify=false', '--src-creds', creds,
            '--dest-creds', creds, f'{where}/sk:v1', f'{where}/sk-copy:v2')
    r = command('skopeo', 'list-tags', '--tls-verify=false', '--creds', creds, f'{where}/sk-copy')
    assert json.loads(r.stdout)['Tags'] == ['v2']
    command('skopeo', 'delete', '--tls-verify=false', '--creds', creds, f'{where}/sk-copy:v2')
    assert registry('GET', '/v2/reg/sk-copy/manifests/v2').status_code == 404
    assert registry('GET', '/v2/reg/sk/manifests/v1').status_code == 200


def test_skopeo_converts_to_docker_schema_2(strata, registry, layout, work):
    need('skopeo')
    where, creds = f'docker://127.0.0.1:{strata.port}/reg', f'admin:{strata.admin_password}'
    command('skopeo', 'copy', '--format', 'v2s2', '--dest-tls-verify=false', '--dest-creds', creds,
            f'oci:{layout}:v1', f'{where}/v2s2:1')
    r = registry('GET', '/v2/reg/v2s2/manifests/1')
    assert r.headers['Content-Type'] == 'application/vnd.docker.distribution.manifest.v2+json'


def test_podman_and_buildah_round_trip(strata, registry, context, work):
    need('podman')
    need('buildah')
    host = f'127.0.0.1:{strata.port}'
    env = {'REGISTRY_AUTH_FILE': str(work / 'podman-auth.json'), 'HOME': str(work)}
    flags = ['--root', work / 'cs', '--runroot', work / 'csr', '--storage-driver', 'vfs']
    podman = ['podman', *flags, '--cgroup-manager', 'cgroupfs', '--events-backend', 'file', '--tmpdir', work / 'pt']
    try:
        command(*podman, 'login', '--tls-verify=false', '-u', 'admin', '--password-stdin', host, env=env,
                input=strata.admin_password)
        box = command('buildah', *flags, 'from', 'scratch', env=env).stdout.strip()
        command('buildah', *flags, 'add', box, context / 'busybox', '/bin/busybox', env=env)
        command('buildah', *flags, 'commit', box, f'{host}/reg/buildah:1', env=env)
        command('buildah', *flags, 'push', '--tls-verify=false', f'{host}/reg/buildah:1', env=env)
        command(*podman, 'rmi', '-f', f'{host}/reg/buildah:1', env=env)
        command(*podman, 'pull', '--tls-verify=false', f'{host}/reg/buildah:1', env=env)
        command(*podman, 'tag', f'{host}/reg/buildah:1', f'{host}/reg/podman:1', env=env)
        command(*podman, 'push', '--tls-verify=false', f'{host}/reg/podman:1', env=env)
        found = command(*podman, 'search', '--tls-verify=false', f'{host}/reg', env=env).stdout
        assert 'reg/buildah' in found and 'reg/podman' in found
        command(*podman, 'logout', host, env=env)
        refused = command(*podman, 'pull', '--tls-verify=false', f'{host}/reg/podman:1', env=env, check=False)
        assert refused.returncode != 0
    finally:
        command('buildah', *flags, 'rm', '--all', env=env, check=False)
        command(*podman, 'rmi', '--all', '-f', env=env, check=False)


@pytest.fixture(scope='module')
def docker(work):
    need('dockerd')
    path = pathlib.Path('/tmp') / f'strata-dockerd-{os.getpid()}'  # a socket's path is short
    path.mkdir()
    log = open(path / 'log', 'wb')
    daemon = subprocess.Popen(
        ['dockerd', '--bridge=none', '--iptables=false', '-s', 'vfs', '--data-root', path / 'data',
         '--exec-root', path / 'exec', '-H', f'unix://{path}/sock', '--pidfile', path / 'pid'],
        stdout=log, stderr=log, start_new_session=True)
    env = {'DOCKER_HOST': f'unix://{path}/sock', 'DOCKER_CONFIG': str(path / 'config'), 'DOCKER_BUILDKIT': '0'}
    try:
        wait_for(lambda: daemon.poll() is not None or
                 command('docker', 'version', env=env, check=False).returncode == 0, 60, 'dockerd answers')
        if daemon.poll() is not None:
            pytest.skip('dockerd does not start here: ' + (path / 'log').read_text()[-500:])
        yield lambda *a, **kw: command('docker', *a, env=env, **kw)
    finally:
        daemon.terminate()
        daemon.wait(30)
        log.close()
        shutil.rmtree(path, ignore_errors=True)


def test_docker_login_push_pull_and_logout(strata, registry, docker, context):
    host = f'127.0.0.1:{strata.port}'
    docker('build', '-q', '-t', f'{host}/reg/docker:1', context)
    docker('login', '-u', 'admin', '--password-stdin', host, input=strata.admin_password)
    pushed = docker('push', f'{host}/reg/docker:1').stdout
    digest = re.search(r'digest: (sha256:\w+)', pushed).group(1)
    assert registry('HEAD', '/v2/reg/docker/manifests/1').headers['Docker-Content-Digest'] == digest
    docker('rmi', '-f', f'{host}/reg/docker:1')
    assert digest in docker('pull', f'{host}/reg/docker:1').stdout
    docker('tag', f'{host}/reg/docker:1', f'{host}/reg/docker-two:1')
    assert 'Mounted from reg/docker' in docker('push', f'{host}/reg/docker-two:1').stdout
    docker('logout', host)
    docker('rmi', '-f', f'{host}/reg/docker:1', f'{host}/reg/docker-two:1')
    assert docker('pull', f'{host}/reg/docker:1', check=False).returncode != 0
    wrong = docker('login', '-u', 'admin', '--password-stdin', host, input='wrong', check=False)
    assert wrong.returncode != 0


def test_docker_pulls_from_a_public_project_without_login(strata, registry, docker):
    digest, _ = registry.image('reg-public/app', 'v1')
    assert digest in docker('pull', f'127.0.0.1:{strata.port}/reg-public/app:v1').stdout


@pytest.fixture(scope='module')
def ctr(work):
    """containerd's own client, with a containerd of this test alone."""
    need('containerd')
    need('ctr')
    path = pathlib.Path('/tmp') / f'strata-containerd-{os.getpid()}'  # a socket's path is short
    path.mkdir()
    (path / 'config.toml').write_text(f'version = 2\nroot = "{path}/root"\nstate = "{path}/state"\ndisabled_plugins = ["io.containerd.grpc.v1.cri"]\n'
                                      f'[grpc]\n  address = "{path}/sock"\n')
    with open(path / 'log', 'wb') as log:
        daemon = subprocess.Popen(['containerd', '--config', path / 'config.toml'], stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: daemon.poll() is not None or command('ctr', '-a', path / 'sock', 'version', check=False).returncode == 0, 60, 'containerd answers')
        if daemon.poll() is not None:
            pytest.skip('containerd does not start here: ' + (path / 'log').read_text()[-500:])
        yield lambda *a, **kw: command('ctr', '-a', path / 'sock', *a, **kw)
    finally:
        daemon.terminate()
        daemon.wait(30)
        shutil.rmtree(path, ignore_errors=True)


def test_containerd_pushes_and_pulls(strata, registry, ctr, layout, work):
    host, who = f'127.0.0.1:{strata.port}', ('--plain-http', '--user', f'admin:{strata.admin_password}')
    with tarfile.open(work / 'layout.tar', 'w') as t:
        t.add(layout, '.')
    digest = json.loads((layout / 'index.json').read_text())['manifests'][0]['digest']
    ctr('images', 'import', '--base-name', f'{host}/reg/ctr', '--no-unpack', work / 'layout.tar')
    assert f'{host}/reg/ctr:v1' in ctr('images', 'ls', '-q').stdout
    ctr('images', 'push', *who, f'{host}/reg/ctr:v1')
    assert registry('HEAD', '/v2/reg/ctr/manifests/v1').headers['Docker-Content-Digest'] == digest
    ctr('images', 'tag', f'{host}/reg/ctr:v1', f'{host}/reg/ctr-two:v2')
    ctr('images', 'push', *who, f'{host}/reg/ctr-two:v2')
    assert registry('HEAD', '/v2/reg/ctr-two/manifests/v2').headers['Docker-Content-Digest'] == digest
    ctr('images', 'rm', '--sync', f'{host}/reg/ctr:v1', f'{host}/reg/ctr-two:v2')
    assert digest not in ctr('content', 'ls', '-q').stdout
    ctr('images', 'pull', *who, f'{host}/reg/ctr:v1')
    assert digest in ctr('images', 'ls').stdout and digest in ctr('content', 'ls', '-q').stdout
    assert ctr('images', 'pull', '--plain-http', f'{host}/reg/ctr-two:v2', check=False).returncode != 0, 'nobody in a private project'
    assert ctr('images', 'push', '--plain-http', '--user', 'admin:wrong', f'{host}/reg/ctr:v1', check=False).returncode != 0
    public, _ = registry.image('reg-public/ctr', 'v1')
    ctr('images', 'pull', '--plain-http', f'{host}/reg-public/ctr:v1')
    assert public in ctr('images', 'ls').stdout


# --- who is asked, and what he gets ---

def test_ping_asks_everybody_for_a_token(strata, registry):
    r = registry('GET', '/v2/', auth=None)
    assert r.status_code == 401 and code(r) == 'UNAUTHORIZED'
    assert r.headers['Docker-Distribution-Api-Version'] == 'registry/2.0'
    assert r.headers['WWW-Authenticate'] == f'Bearer realm="{strata.url}/service/token",service="strata"'
    assert registry('GET', '/v2/').status_code == 200
    assert registry('GET', '/v2/', auth=('admin', 'wrong')).status_code == 401


def test_public_projects_ask_for_a_token_too(registry):
    registry.image('reg-public/app', 'v1')
    r = registry('HEAD', '/v2/reg-public/app/manifests/v1', auth=None)
    assert r.status_code == 401
    assert 'scope="repository:reg-public/app:pull"' in r.headers['WWW-Authenticate']
    token = registry.token('repository:reg-public/app:pull', auth=None)
    assert registry('HEAD', '/v2/reg-public/app/manifests/v1', token=token).status_code == 200
    assert registry('GET', '/v2/', token=token).status_code == 200


def test_anonymous_gets_nothing_in_a_private_project(registry):
    registry.image('reg/private', 'v1')
    for name in ('reg/private', 'no-such-project/x'):  # one looks like the other
        token = registry.token(f'repository:{name}:pull,push', auth=None)
        r = registry('GET', f'/v2/{name}/manifests/v1', token=token)
        assert r.status_code == 401 and 'error="insufficient_scope"' in r.headers['WWW-Authenticate']


def claims(token):
    part = token.split('.')[1]
    return json.loads(base64.urlsafe_b64decode(part + '=' * (-len(part) % 4)))


def test_granted_is_asked_and_allowed(registry, developer, guest):
    scope = 'repository:reg/a:pull,push,delete'
    assert claims(registry.token(scope))['access'][0]['actions'] == ['pull', 'push', 'delete']
    assert claims(developer.token(scope))['access'][0]['actions'] == ['pull', 'push']
    assert claims(guest.token(scope))['access'][0]['actions'] == ['pull']
    assert claims(registry.token('repository:reg/a:pull'))['access'][0]['actions'] == ['pull']
    assert claims(registry.token('repository:reg/a:*'))['access'][0]['actions'] == ['pull', 'push', 'delete']
    two = claims(registry.token('repository:reg/a:pull repository:reg/b:push', 'registry:catalog:*'))['access']
    assert [(a['name'], a['actions']) for a in two] == [('reg/a', ['pull']), ('reg/b', ['push']), ('catalog', ['*'])]


def test_the_token_reply_has_what_clients_read(registry):
    r = registry('GET', '/service/token', params={'service': 'strata', 'scope': 'repository:reg/a:pull'}).json()
    assert r['token'] == r['access_token'] and r['expires_in'] >= 60 and r['issued_at'].endswith('Z')
    assert 'refresh_token' not in r
    header = json.loads(base64.urlsafe_b64decode(r['token'].split('.')[0] + '=='))
    assert header['alg'] == 'ES256' and re.fullmatch(r'([A-Z2-7]{4}:){11}[A-Z2-7]{4}', header['kid'])
    assert claims(r['token'])['sub'] == 'admin'


@pytest.mark.parametrize('scope', ['repository:reg/a:push', 'repository:reg/a:pull,push,delete', 'repository:reg/a:push,delete',
                                   'repository:reg/a:delete repository:reg/b:pull', 'registry:catalog:*'])
def test_the_token_reply_names_what_was_granted(registry, scope):
    assert registry('GET', '/service/token', params={'service': 'strata', 'scope': scope}).json()['scope'] == scope


def test_login_with_wrong_password_or_without_anything_fails(registry):
    assert registry('GET', '/service/token', auth=('admin', 'nope')).status_code == 401
    assert registry('GET', '/service/token', auth=None).status_code == 401


def test_revoking_a_personal_token_ends_what_it_made(registry, strata):
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'ci'}).json()
    r = requests.get(strata.url + '/service/token', params={'service': 'strata', 'scope': 'repository:reg/a:pull'},
                     auth=('admin', made['token']), timeout=30)
    bearer = {'Authorization': 'Bearer ' + r.json()['token']}
    assert requests.get(strata.url + '/v2/', headers=bearer, timeout=30).status_code == 200
    assert strata.api('DELETE', f'/api/v1/tokens/{made["id"]}').status_code == 204
    assert requests.get(strata.url + '/v2/', headers=bearer, timeout=30).status_code == 401


def test_oauth_password_and_refresh_token(strata, registry):
    form = {'grant_type': 'password', 'username': 'admin', 'password': strata.admin_password, 'service': 'strata',
            'client_id': 'containerd-client', 'access_type': 'offline',
            'scope': 'repository:reg/a:pull repository:reg/b:pull,push'}
    r = registry('POST', '/service/token', data=form, auth=None)
    assert r.status_code == 200 and len(claims(r.json()['access_token'])['access']) == 2
    refresh = r.json()['refresh_token']
    again = {'grant_type': 'refresh_token', 'refresh_token': refresh, 'scope': 'repository:reg/a:pull'}
    r = registry('POST', '/service/token', data=again, auth=None)
    assert r.status_code == 200
    assert registry('GET', '/v2/', token=r.json()['access_token']).status_code == 200
    assert registry('GET', '/v2/', token=refresh).status_code == 401
    assert registry('POST', '/service/token', data={**form, 'password': 'x'}, auth=None).status_code == 401
    assert registry('POST', '/service/token', data={**again, 'refresh_token': 'a.b.c'}, auth=None).status_code == 401
    assert registry('POST', '/service/token', data={'grant_type': 'magic'}, auth=None).status_code == 400


def test_a_refresh_token_ends_with_the_password_it_was_made_from(strata, registry):
    strata.user('reg-refresh', 'reg', 'developer')
    r = registry('GET', '/service/token', params={'service': 'strata', 'offline_token': 'true'},
                 auth=('reg-refresh', 'correct horse battery'))
    again = {'grant_type': 'refresh_token', 'refresh_token': r.json()['refresh_token']}
    assert registry('POST', '/service/token', data=again, auth=None).status_code == 200
    r = strata.api('PATCH', '/api/v1/users/reg-refresh', json={'password': 'another horse battery'})
    assert r.status_code < 300, r.text
    assert registry('POST', '/service/token', data=again, auth=None).status_code == 401


def test_a_token_for_one_repository_opens_no_other(registry):
    registry.image('reg/one', 'v1')
    registry.image('reg/other', 'v1')
    token = registry.token('repository:reg/one:pull')
    assert registry('GET', '/v2/reg/one/manifests/v1', token=token).status_code == 200
    r = registry('GET', '/v2/reg/other/manifests/v1', token=token)
    assert r.status_code == 401 and 'scope="repository:reg/other:pull"' in r.headers['WWW-Authenticate']
    assert registry('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 401


def test_a_registry_token_opens_nothing_but_the_registry(registry):
    token = registry.token('repository:reg/one:pull,push,delete', 'registry:catalog:*')
    for path in ('/api/v1/me', '/api/v1/projects/reg/repositories', '/api/v1/users'):
        assert registry('GET', path, token=token).status_code == 401


def test_a_disabled_user_stops_at_once(strata, registry):
    strata.user('reg-gone', 'reg', 'developer')
    gone = Registry(strata, 'reg-gone', 'correct horse battery')
    token = gone.token('repository:reg/one:pull,push')
    assert gone('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 202
    assert strata.api('PATCH', '/api/v1/users/reg-gone', json={'disabled': True}).status_code < 300
    assert gone('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 401


def test_a_token_ends_with_the_password_it_was_made_from(strata, registry):
    def change(**what):
        assert strata.api('PATCH', '/api/v1/users/reg-changed', json=what).status_code == 200

    def tokens(password):
        user = Registry(strata, 'reg-changed', password)
        r = user('POST', '/service/token', auth=None, data={
            'grant_type': 'password', 'username': 'reg-changed', 'password': password, 'scope': 'repository:reg/one:pull'})
        return [user.token('repository:reg/one:pull'), r.json()['access_token']]

    def status(token):
        return registry('GET', '/v2/', token=token).status_code
    strata.user('reg-changed', 'reg', 'developer')
    lasting = Registry(strata, 'reg-changed', strata.token('reg-changed')).token('repository:reg/one:pull')
    old = tokens('correct horse battery')
    assert [status(t) for t in old] == [200, 200]
    r = requests.put(strata.url + '/api/v1/me/password', json={'old': 'correct horse battery', 'new': 'second horse battery'},
                     auth=('reg-changed', 'correct horse battery'), timeout=30)
    assert r.status_code == 204
    assert [status(t) for t in old] == [401, 401]
    old = tokens('second horse battery')
    change(password='third horse battery')
    assert [status(t) for t in old] == [401, 401]
    old = tokens('third horse battery')
    change(disabled=True)
    change(disabled=False)
    assert [status(t) for t in old] == [401, 401]
    assert [status(t) for t in tokens('third horse battery')] == [200, 200]
    assert status(lasting) == 200  # of a personal token, which nobody revoked


def test_an_admin_that_was_ends_at_once(strata, registry):
    strata.user('reg-admin')
    assert strata.api('PATCH', '/api/v1/users/reg-admin', json={'is_admin': True}).status_code == 200
    was = Registry(strata, 'reg-admin', 'correct horse battery')
    token = was.token('repository:reg/one:pull,push,delete')
    assert was('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 202
    assert strata.api('PATCH', '/api/v1/users/reg-admin', json={'is_admin': False}).status_code == 200
    assert was('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 404


def test_a_lost_role_ends_the_rights_of_its_tokens(strata, registry):
    strata.user('reg-moved', 'reg', 'developer')
    moved = Registry(strata, 'reg-moved', 'correct horse battery')
    token = moved.token('repository:reg/one:pull,push')
    assert moved('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 202
    assert strata.api('PUT', '/api/v1/projects/reg/members/reg-moved', json={'role': 'guest'}).status_code < 300
    assert moved('POST', '/v2/reg/one/blobs/uploads/', token=token).status_code == 403


def test_personal_tokens_with_scopes_narrow_what_is_granted(strata, registry):
    r = strata.api('POST', '/api/v1/tokens', json={'name': 'pull-only', 'scopes': ['image:pull']})
    narrow = Registry(strata, 'admin', r.json()['token'])
    assert claims(narrow.token('repository:reg/one:pull,push'))['access'][0]['actions'] == ['pull']
    assert narrow('GET', '/v2/reg/one/manifests/v1').status_code == 200
    assert narrow('POST', '/v2/reg/one/blobs/uploads/').status_code == 403


def test_a_narrow_token_gets_no_more_by_asking_for_the_catalog(strata, registry):
    r = strata.api('POST', '/api/v1/tokens', json={'name': 'jobs-only', 'scopes': ['job:read']})
    narrow = Registry(strata, 'admin', r.json()['token'])
    token = narrow.token('registry:catalog:*')
    assert claims(token)['access'] == []
    assert registry('GET', '/v2/_catalog', token=token).status_code == 401
    assert narrow('GET', '/v2/_catalog').json()['repositories'] == []


@pytest.mark.parametrize('method,path,allowed', [
    ('GET', '/v2/reg/roles/manifests/v1', ('guest', 'developer', 'admin')),
    ('PUT', '/v2/reg/roles/manifests/v2', ('developer', 'admin')),
    ('POST', '/v2/reg/roles/blobs/uploads/', ('developer', 'admin')),
    ('DELETE', '/v2/reg/roles/manifests/v3', ('admin',)),
    ('DELETE', '/v2/reg/roles/blobs/' + sha(b'absent'), ('admin',)),
])
def test_roles(registry, developer, guest, method, path, allowed):
    registry.image('reg/roles', 'v1')
    for name, who in (('guest', guest), ('developer', developer), ('admin', registry)):
        status = who(method, path, data=b'x' if method == 'PUT' else None).status_code
        assert (status not in (401, 403)) == (name in allowed), f'{name}: {status}'


# --- blobs ---

def test_upload_in_one_request(registry):
    data = os.urandom(1000)
    r = registry('POST', '/v2/reg/blobs/blobs/uploads/', params={'digest': sha(data)}, data=data)
    assert r.status_code == 201 and r.headers['Location'] == f'/v2/reg/blobs/blobs/{sha(data)}'
    r = registry('GET', r.headers['Location'])
    assert r.content == data and r.headers['Docker-Content-Digest'] == sha(data)
    bad = registry('POST', '/v2/reg/blobs/blobs/uploads/', params={'digest': sha(b'other')}, data=data)
    assert bad.status_code == 400 and code(bad) == 'DIGEST_INVALID'


@pytest.mark.parametrize('algorithm', ['sha256', 'sha512'])
def test_upload_with_post_and_put(registry, algorithm):
    data = os.urandom(100_000)
    digest = registry.blob('reg/blobs', data, algorithm)
    r = registry('HEAD', f'/v2/reg/blobs/blobs/{digest}')
    assert r.status_code == 200 and int(r.headers['Content-Length']) == len(data)


def test_streamed_upload_without_length(registry):
    parts = [os.urandom(70_000) for _ in range(5)]
    where = registry.upload('reg/blobs')
    r = registry('PATCH', where, data=iter(parts))
    assert r.status_code == 202 and r.headers['Range'] == '0-349999'
    r = registry('PUT', r.headers['Location'], params={'digest': sha(b''.join(parts))})
    assert r.status_code == 201


def test_chunks_must_come_in_order(registry):
    data = os.urandom(3000)
    where = registry.upload('reg/blobs')

    def chunk(method, first, last, **kw):
        return registry(method, where, data=data[first:last + 1], headers={'Content-Range': f'{first}-{last}'}, **kw)
    assert chunk('PATCH', 1000, 1999).status_code == 416
    assert chunk('PATCH', 0, 999).status_code == 202
    assert chunk('PATCH', 0, 999).status_code == 416
    r = chunk('PATCH', 2000, 2999)
    assert r.status_code == 416 and code(r) == 'BLOB_UPLOAD_INVALID' and r.headers['Range'] == '0-999'
    r = registry('GET', where)
    assert r.status_code == 204 and r.headers['Range'] == '0-999' and r.headers['Location'] == where
    assert chunk('PATCH', 1000, 1999).status_code == 202
    assert chunk('PUT', 1000, 2999, params={'digest': sha(data)}).status_code == 416
    r = registry('PATCH', where, data=b'x', headers={'Content-Range': 'bytes 2000-2999/3000'})
    assert r.status_code == 400 and code(r) == 'SIZE_INVALID'
    assert registry('PATCH', where, data=b'x', headers={'Content-Range': 'two'}).status_code == 400
    assert chunk('PUT', 2000, 2999, params={'digest': sha(data)}).status_code == 201
    assert registry('GET', f'/v2/reg/blobs/blobs/{sha(data)}').content == data


def test_a_chunk_without_length_is_as_long_as_its_range(registry):
    data = os.urandom(3000)
    where = registry.upload('reg/blobs')
    assert registry('PATCH', where, data=data[:1000]).status_code == 202
    for body in (data[1000:1500], data[1000:2500]):  # shorter, longer than 1000 bytes
        for method, params in (('PATCH', {}), ('PUT', {'digest': sha(data)})):
            r = registry(method, where, data=iter([body]), params=params, headers={'Content-Range': '1000-1999'})
            assert r.status_code == 400 and code(r) == 'SIZE_INVALID'
            assert registry('GET', where).headers['Range'] == '0-999'
    r = registry('PATCH', where, data=iter([data[1000:2000]]), headers={'Content-Range': '1000-1999'})
    assert r.status_code == 202 and r.headers['Range'] == '0-1999'
    r = registry('PUT', where, data=iter([data[2000:]]), params={'digest': sha(data)}, headers={'Content-Range': '2000-2999'})
    assert r.status_code == 201


def test_the_body_of_a_put_with_a_wrong_digest_is_taken_back(registry):
    data = os.urandom(900)
    where = registry.upload('reg/blobs')
    assert registry('PATCH', where, data=data[:300]).status_code == 202
    r = registry('PUT', where, params={'digest': sha(data)}, data=data[300:800] + b'wrong' * 20)
    assert r.status_code == 400 and code(r) == 'DIGEST_INVALID'
    assert registry('GET', where).headers['Range'] == '0-299'
    assert registry('PUT', where, params={'digest': sha(data)}, data=data[300:]).status_code == 201
    assert registry('GET', f'/v2/reg/blobs/blobs/{sha(data)}').content == data


def test_a_wrong_digest_stores_nothing_and_can_be_mended(registry):
    data = os.urandom(500)
    where = registry.upload('reg/blobs')
    assert registry('PATCH', where, data=data[:300]).status_code == 202
    r = registry('PUT', where, params={'digest': sha(data)})
    assert r.status_code == 400 and code(r) == 'DIGEST_INVALID' and '300 bytes' in r.text
    assert registry('HEAD', f'/v2/reg/blobs/blobs/{sha(data)}').status_code == 404
    assert registry('PUT', where, params={'digest': sha(data)}, data=data[300:]).status_code == 201
    for bad in ('sha256:xyz', 'md5:00', '', '../../etc/passwd'):
        r = registry('PUT', registry.upload('reg/blobs'), params={'digest': bad}, data=b'x')
        assert r.status_code == 400 and code(r) == 'DIGEST_INVALID'
    assert registry('PUT', registry.upload('reg/blobs'), data=b'x').status_code == 400


def test_a_cut_upload_goes_on_where_it_stopped(strata, registry):
    import socket
    data = os.urandom(50_000)
    where = registry.upload('reg/blobs')
    auth = base64.b64encode(f'admin:{strata.admin_password}'.encode()).decode()
    with socket.create_connection(('127.0.0.1', strata.port)) as s:
        s.sendall(f'PATCH {where} HTTP/1.1\r\nHost: x\r\nAuthorization: Basic {auth}\r\n'
                  f'Content-Length: {len(data)}\r\n\r\n'.encode() + data[:20_000])
    have = wait_for(lambda: int(registry('GET', where).headers['Range'].split('-')[1]) + 1 == 20_000 and 20_000,
                    30, 'the bytes sent are counted')
    r = wait_for(lambda: (lambda r: r if r.status_code != 409 else None)(
        registry('PUT', where, params={'digest': sha(data)}, data=data[have:])), 30, 'the upload is free')
    assert r.status_code == 201, r.text
    assert registry('GET', f'/v2/reg/blobs/blobs/{sha(data)}').content == data


def test_sessions_belong_to_their_repository(registry):
    where = registry.upload('reg/blobs')
    for strange in (where.replace('reg/blobs/', 'reg/two/', 1), where[:-1] + ('0' if where[-1] != '0' else '1'),
                    '/v2/reg/blobs/blobs/uploads/x'):
        r = registry('PATCH', strange, data=b'x')
        assert r.status_code == 404 and code(r) == 'BLOB_UPLOAD_UNKNOWN'
    assert registry('DELETE', where).status_code == 204
    assert registry('GET', where).status_code == 404
    assert registry('DELETE', where).status_code == 404


def test_ranges(registry):
    data = os.urandom(1000)
    url = f'/v2/reg/blobs/blobs/{registry.blob("reg/blobs", data)}'

    def get(value):
        return registry('GET', url, headers={'Range': f'bytes={value}'})
    for value, part in (('0-9', data[:10]), ('990-', data[990:]), ('-10', data[-10:]), ('500-5000', data[500:])):
        r = get(value)
        assert r.status_code == 206 and r.content == part, value
    assert get('0-0').headers['Content-Range'] == 'bytes 0-0/1000'
    for value in ('1000-', '500-0', '5000-6000'):
        assert get(value).status_code == 416, value


def test_mounting_needs_the_right_to_read(strata, registry):
    strata.project('reg-secret')
    data = os.urandom(100)
    digest = registry.blob('reg-secret/app', data)
    query = {'mount': digest, 'from': 'reg-secret/app'}
    r = registry('POST', '/v2/reg/mounted/blobs/uploads/', params=query)
    assert r.status_code == 201 and r.headers['Location'].endswith(digest)
    assert registry('GET', f'/v2/reg/mounted/blobs/{digest}').content == data
    strata.user('reg-dev', 'reg', 'developer')
    dev = Registry(strata, 'reg-dev', 'correct horse battery')
    for params in (query, {'mount': sha(b'none'), 'from': 'reg/mounted'}, {'mount': 'bad', 'from': 'reg/mounted'},
                   {'mount': sha(b'none')}, {'mount': registry.blob('reg-secret/app', os.urandom(10))}, {'mount': digest, 'from': 'reg/none'}):
        assert dev('POST', '/v2/reg/mounted2/blobs/uploads/', params=params).status_code == 202, params
    # Without a source (anonymous mount) the project is searched, whose repositories he may read all.
    for params in ({'mount': digest}, {'mount': digest, 'from': 'reg/mounted'}):
        repo = f'reg/mounted-{len(params)}'
        for token in (None, dev.token(f'repository:{repo}:pull,push')):
            assert dev('POST', f'/v2/{repo}/blobs/uploads/', params=params, **({'token': token} if token else {})).status_code == 201, params
        assert dev('GET', f'/v2/{repo}/blobs/{digest}').content == data
        only_push = dev.token(f'repository:{repo}:push')
        assert dev('POST', f'/v2/{repo}/blobs/uploads/', params=params, token=only_push).status_code == 202
    # With a token, its access list must name the source too.
    narrow = registry.token('repository:reg/mounted3:pull,push')
    assert registry('POST', '/v2/reg/mounted3/blobs/uploads/', params=query, token=narrow).status_code == 202
    wide = registry.token('repository:reg/mounted3:pull,push repository:reg-secret/app:pull')
    assert registry('POST', '/v2/reg/mounted3/blobs/uploads/', params=query, token=wide).status_code == 201


def test_a_push_by_digest_gives_many_tags_at_once(registry):
    _, body = registry.image('reg/many-tags', 'first')
    body = body if isinstance(body, bytes) else json.dumps(body).encode()
    digest = sha(body, 'sha512')
    put = lambda tags: registry('PUT', f'/v2/reg/many-tags/manifests/{digest}', params=[('tag', t) for t in tags], data=body,
                                headers={'Content-Type': OCI_MANIFEST})
    names = [f't{i}' for i in range(64)]
    r = put(names)
    assert r.status_code == 201 and r.headers['OCI-Tag'].split(', ') == names and r.headers['Docker-Content-Digest'] == digest
    for tag in ('t0', 't63'):
        got = registry('GET', f'/v2/reg/many-tags/manifests/{tag}')
        assert got.content == body and got.headers['Docker-Content-Digest'] == digest
    assert put(names + ['t64']).status_code == 413
    r = put(['fine', 'not fine'])
    assert r.status_code == 400 and code(r) == 'TAG_INVALID'
    assert registry('GET', '/v2/reg/many-tags/manifests/fine').status_code == 404, 'all or nothing'


def test_a_blob_of_another_repository_is_not_served(registry):
    digest = registry.blob('reg/here', os.urandom(10))
    registry.blob('reg/there', os.urandom(10))
    r = registry('GET', f'/v2/reg/there/blobs/{digest}')
    assert r.status_code == 404 and code(r) == 'BLOB_UNKNOWN'
    r = registry('GET', f'/v2/reg/nowhere/blobs/{digest}')
    assert r.status_code == 404 and code(r) == 'NAME_UNKNOWN'


def test_parallel_pushes_of_the_same_blob_all_succeed(registry):
    data, results = os.urandom(300_000), []
    threads = [threading.Thread(target=lambda n=n: results.append(registry.blob(f'reg/par{n % 3}', data)))
               for n in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert results == [sha(data)] * 12
    for n in range(3):
        assert registry('GET', f'/v2/reg/par{n}/blobs/{sha(data)}').content == data


# --- manifests ---

def test_manifests_keep_their_bytes_and_type(registry):
    digest, body = registry.image('reg/exact', 'v1', annotations={'z': '1', 'a': '2'})
    for ref in ('v1', digest):
        r = registry('GET', f'/v2/reg/exact/manifests/{ref}', headers={'Accept': 'application/json'})
        assert r.content == body and r.headers['Content-Type'] == OCI_MANIFEST
        assert r.headers['Docker-Content-Digest'] == digest
        h = registry('HEAD', f'/v2/reg/exact/manifests/{ref}')
        assert int(h.headers['Content-Length']) == len(body) and h.headers['Docker-Content-Digest'] == digest
    by512 = sha(body, 'sha512')
    registry.manifest('reg/exact', by512, body)
    assert registry('GET', f'/v2/reg/exact/manifests/{by512}').content == body


def test_a_manifest_that_one_has_is_not_sent_again(registry):
    digest, body = registry.image('reg/cond', 'v1')

    def get(method='GET', ref='v1', **headers):
        return registry(method, f'/v2/reg/cond/manifests/{ref}', headers={k.replace('_', '-'): v for k, v in headers.items()})
    etag = get().headers['ETag']
    assert etag == f'"{digest}"'
    for tag in (etag, 'W/' + etag, '"x", ' + etag, '*'):
        r = get(If_None_Match=tag)
        assert r.status_code == 304 and r.content == b'' and r.headers['ETag'] == etag
        assert r.headers['Docker-Content-Digest'] == digest
    assert get('HEAD', digest, If_None_Match=etag).status_code == 304
    other, _ = registry.image('reg/cond', 'v1')
    r = get(If_None_Match=etag)
    assert r.status_code == 200 and r.headers['ETag'] == f'"{other}"'


def test_manifests_that_are_refused(registry):
    digest, body = registry.image('reg/bad', 'v1')
    good = json.loads(body)

    def put(change, ref='x', media_type=OCI_MANIFEST):
        r = registry.manifest('reg/bad', ref, change if isinstance(change, bytes) else json.dumps(change).encode(),
                              media_type, status=400)
        return code(r)
    missing = {**good['layers'][0], 'digest': sha(b'not there')}
    assert put({**good, 'layers': [missing]}) == 'MANIFEST_BLOB_UNKNOWN'
    assert put({**good, 'config': missing}) == 'MANIFEST_BLOB_UNKNOWN'
    assert put({**good, 'layers': [{**good['layers'][0], 'size': 1}]}) == 'MANIFEST_INVALID'
    assert put(b'{') == 'MANIFEST_INVALID'
    assert put(b'') == 'MANIFEST_INVALID'
    assert put(b'[' * 100_000) == 'MANIFEST_INVALID'
    assert put({'schemaVersion': 1, 'name': 'x', 'tag': 'y', 'fsLayers': []},
               media_type='application/vnd.docker.distribution.manifest.v1+prettyjws') == 'MANIFEST_INVALID'
    assert put(good, media_type='text/plain') == 'MANIFEST_INVALID'
    assert put({'schemaVersion': 2, 'manifests': [{'mediaType': OCI_MANIFEST, 'digest': sha(b'x'), 'size': 1}]},
               media_type=OCI_INDEX) == 'MANIFEST_BLOB_UNKNOWN'
    assert put(body, ref=sha(b'other')) == 'DIGEST_INVALID'
    assert put(body, ref='sha256:12') == 'DIGEST_INVALID'
    assert put(body, ref='.tag') == 'TAG_INVALID'
    r = registry('PUT', '/v2/reg/bad/manifests/big', data=b' ' * (4 * 1024 * 1024 + 1),
                 headers={'Content-Type': OCI_MANIFEST})
    assert r.status_code == 413 and code(r) == 'SIZE_INVALID' and '4' in r.json()['errors'][0]['message'], r.text
    assert registry('GET', '/v2/reg/bad/tags/list').json()['tags'] == ['v1']
    full = body + b' ' * (4 * 1024 * 1024 - len(body))
    registry.manifest('reg/bad', 'full', full)  # the specification: at least 4 MiB
    assert registry('GET', '/v2/reg/bad/manifests/full').content == full


def test_indexes_that_are_nested_deep_are_kept_and_nobody_walks_them_forever(strata, registry, work):
    """A registry stores what names what it has; who looks for an image in it says when it is too deep."""
    digest, body = registry.image('reg/deep', None)
    kind, chain = OCI_MANIFEST, [digest]
    for _ in range(100):
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
            {'mediaType': kind, 'digest': digest, 'size': len(body), 'platform': {'os': 'linux', 'architecture': 'amd64'}}] * 20}).encode()
        digest, kind = sha(body), OCI_INDEX
        chain.append(digest)
        registry.manifest('reg/deep', digest, body, OCI_INDEX)
    registry.manifest('reg/deep', 'latest', body, OCI_INDEX)
    assert registry('GET', '/v2/reg/deep/manifests/latest').content == body
    for depth, status in ((2, 202), (100, 400)):
        spec = {'name': 'deep', 'image': f'reg/deep@{chain[depth]}', 'command': ['/x'], 'resources': {'cpu': '100m', 'memory': '64Mi'}}
        r = strata.api('POST', '/api/v1/projects/reg/jobs', json=spec)
        assert r.status_code == status, r.text
        assert status == 202 or 'nested deeper than' in r.text
        if status == 202:
            strata.wait_job('reg', r.json()['id'])
    row = registry('GET', '/api/v1/projects/reg/repositories/deep/tags').json()['items'][0]
    assert row['digest'] == digest
    r = strata.cli('image', 'export', 'reg/deep:latest', work / 'deep.tar')
    assert r.returncode != 0 and 'nested deeper than' in r.stderr and not (work / 'deep.tar').exists(), r.stderr
    out = strata.cli('registry', 'fsck', '--json')
    assert out.returncode == 0, out.stdout
    assert registry('DELETE', f'/v2/reg/deep/manifests/{digest}').status_code == 202
    assert registry('GET', f'/v2/reg/deep/manifests/{chain[-2]}').status_code == 200


def test_foreign_layers_need_not_be_here(registry):
    _, body = registry.image('reg/foreign', 'v1')
    m = json.loads(body)
    m['layers'].append({'mediaType': 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
                        'digest': sha(b'elsewhere'), 'size': 9, 'urls': ['https://example.com/layer']})
    registry.manifest('reg/foreign', 'v2', json.dumps(m).encode())


def test_names_that_cannot_be(registry):
    for name in ('reg', 'reg/UPPER', 'reg/a__-b', 'reg/-x'):
        r = registry('GET', f'/v2/{name}/tags/list')
        assert r.status_code in (400, 404) and code(r) in ('NAME_INVALID', 'NAME_UNKNOWN'), name
    assert registry('GET', '/v2/reg/none/tags/list').status_code == 404
    assert code(registry('GET', '/v2/reg/none/manifests/v1')) == 'NAME_UNKNOWN'


def test_indexes_and_what_they_hold(registry):
    arm, arm_body = registry.image('reg/multi', None, architecture='arm64')
    amd, amd_body = registry.image('reg/multi', None)
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': len(b), 'platform': {'os': 'linux', 'architecture': a}}
        for d, b, a in ((arm, arm_body, 'arm64'), (amd, amd_body, 'amd64'))]}).encode()
    registry.manifest('reg/multi', 'latest', index, OCI_INDEX)
    r = registry('GET', '/v2/reg/multi/manifests/latest', headers={'Accept': OCI_MANIFEST})
    assert r.content == index and r.headers['Content-Type'] == OCI_INDEX
    rows = registry('GET', '/api/v1/projects/reg/repositories/multi/tags').json()['items']
    assert rows[0]['platform'] == 'linux/arm64,linux/amd64' and rows[0]['digest'] == sha(index)


def test_referrers(registry):
    image, body = registry.image('reg/signed', 'v1')
    empty = registry.blob('reg/signed', b'{}')

    def refer(kind, note):
        m = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'artifactType': kind,
                        'config': {'mediaType': 'application/vnd.oci.empty.v1+json', 'digest': empty, 'size': 2},
                        'layers': [{'mediaType': 'application/x', 'digest': empty, 'size': 2}],
                        'subject': {'mediaType': OCI_MANIFEST, 'digest': image, 'size': len(body)},
                        'annotations': {'note': note}}).encode()
        r = registry.manifest('reg/signed', sha(m), m)
        assert r.headers['OCI-Subject'] == image
        return {'mediaType': OCI_MANIFEST, 'digest': sha(m), 'size': len(m), 'artifactType': kind,
                'annotations': {'note': note}}
    wanted = [refer('application/x.signature', 'one'), refer('application/x.sbom', 'two')]

    def listed(**params):
        r = registry('GET', f'/v2/reg/signed/referrers/{image}', params=params)
        assert r.status_code == 200 and r.headers['Content-Type'] == OCI_INDEX
        return r
    assert sorted(listed().json()['manifests'], key=lambda m: m['annotations']['note']) == wanted
    r = listed(artifactType='application/x.sbom')
    assert r.json()['manifests'] == wanted[1:] and r.headers['OCI-Filters-Applied'] == 'artifactType'
    r = registry('GET', f'/v2/reg/signed/referrers/{sha(b"unknown")}')
    assert r.status_code == 200 and r.json()['manifests'] == [] and r.json()['schemaVersion'] == 2
    assert registry('GET', '/v2/reg/signed/referrers/sha256:1').status_code == 400


def test_tags_are_paged(registry):
    digest, body = registry.image('reg/paged', 't0')
    tags = sorted(f't{n}' for n in range(12))
    for tag in tags:
        registry.manifest('reg/paged', tag, body)

    def get(**params):
        return registry('GET', '/v2/reg/paged/tags/list', params=params)
    assert get().json() == {'name': 'reg/paged', 'tags': tags} and 'Link' not in get().headers
    seen, url = [], '/v2/reg/paged/tags/list?n=5'
    while url:
        r = registry('GET', url)
        seen.append(r.json()['tags'])
        link = r.headers.get('Link')
        url = re.fullmatch(r'<(.*)>; rel="next"', link).group(1) if link else None
    assert [len(s) for s in seen] == [5, 5, 2] and sum(seen, []) == tags
    r = get(n=0)
    assert r.json()['tags'] == [] and 'Link' not in r.headers
    assert get(n=2, last='t10zzz').json()['tags'] == ['t11', 't2']
    assert get(n='x').status_code == 400


def test_the_catalog_shows_what_one_may_pull(strata, registry, guest):
    strata.project('reg-hidden')
    for name in ('reg-hidden/x', 'reg/cat-a', 'reg/cat-b', 'reg-public/app'):
        registry.image(name, 'v1')
    everything = registry('GET', '/v2/_catalog').json()['repositories']
    assert everything == sorted(everything) and {'reg-hidden/x', 'reg/cat-a', 'reg-public/app'} <= set(everything)
    his = guest('GET', '/v2/_catalog').json()['repositories']
    assert 'reg-hidden/x' not in his and {'reg/cat-a', 'reg-public/app'} <= set(his)
    token = registry.token('registry:catalog:*', auth=None)
    public = registry('GET', '/v2/_catalog', token=token).json()['repositories']
    assert 'reg-public/app' in public and not [n for n in public if n.startswith('reg/')]
    r = registry('GET', '/v2/_catalog', auth=None)
    assert r.status_code == 401 and 'scope="registry:catalog:*"' in r.headers['WWW-Authenticate']
    seen, url = [], '/v2/_catalog?n=2'
    while url:
        r = guest('GET', url)
        seen += r.json()['repositories']
        link = r.headers.get('Link')
        url = re.fullmatch(r'<(.*)>; rel="next"', link).group(1) if link else None
    assert seen == his


def test_the_catalog_pages_over_many_projects(own_strata):
    """The server goes through projects in steps of 250: a page may end in one and go on in the next."""
    s = own_strata().start()
    many = Registry(s)
    body = None
    for i in range(253):
        repo = f'p{i:03}/one'
        s.project(f'p{i:03}')
        if body is None:
            body = many.image(repo, 'v1')[1]
            continue
        manifest = json.loads(body)
        for blob in (manifest['config']['digest'], manifest['layers'][0]['digest']):
            r = many('POST', f'/v2/{repo}/blobs/uploads/', params={'mount': blob, 'from': 'p000/one'})
            assert r.status_code == 201, r.text
        many.manifest(repo, 'v1', body)
    for n in (1, 2, 125, 250, 1000):
        seen, url, pages = [], f'/v2/_catalog?n={n}', 0
        while url:
            r = many('GET', url)
            seen += r.json()['repositories']
            link = r.headers.get('Link')
            url = re.fullmatch(r'<(.*)>; rel="next"', link).group(1) if link else None
            pages += 1
            assert pages <= 260, 'the pages go round'
        assert seen == [f'p{i:03}/one' for i in range(253)], n


def test_an_image_with_layers_by_sha512_runs(strata, registry):
    tar = io.BytesIO()
    with open('/bin/busybox', 'rb') as f:
        program = f.read()
    with tarfile.open(fileobj=tar, mode='w') as t:
        info = tarfile.TarInfo('busybox')
        info.size, info.mode = len(program), 0o755
        t.addfile(info, io.BytesIO(program))
    packed = gzip.compress(tar.getvalue(), mtime=0)
    config = json.dumps({'os': 'linux', 'architecture': 'amd64', 'config': {'Entrypoint': ['/busybox', 'echo', 'by sha512']},
                         'rootfs': {'type': 'layers', 'diff_ids': [sha(tar.getvalue())]}}).encode()
    layer, settings = registry.blob('reg/by512', packed, 'sha512'), registry.blob('reg/by512', config)
    registry.manifest('reg/by512', 'v1', json.dumps({
        'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': OCI_CONFIG, 'digest': settings, 'size': len(config)},
        'layers': [{'mediaType': OCI_LAYER, 'digest': layer, 'size': len(packed)}]}).encode())
    spec = {'image': 'reg/by512:v1', 'resources': {'cpu': '100m', 'memory': '64Mi'}}
    for _ in range(2):  # unpacked, and found again
        job = strata.wait_job('reg', strata.submit('reg', spec)['id'])
        assert job['state'] == 'succeeded', job
        assert strata.job_log('reg', job['id']) == 'by sha512\n'


# --- delete ---

def test_delete_by_tag_and_by_digest(registry):
    digest, body = registry.image('reg/del', 'v1')
    registry.manifest('reg/del', 'v2', body)
    assert registry('DELETE', '/v2/reg/del/manifests/v1').status_code == 202
    assert registry('GET', '/v2/reg/del/manifests/v1').status_code == 404
    assert registry('GET', f'/v2/reg/del/manifests/{digest}').status_code == 200
    layer = json.loads(body)['layers'][0]['digest']
    r = registry('DELETE', f'/v2/reg/del/blobs/{layer}')
    assert r.status_code == 405 and 'used by a manifest' in r.text
    assert registry('DELETE', f'/v2/reg/del/manifests/{digest}').status_code == 202
    assert registry('GET', '/v2/reg/del/manifests/v2').status_code == 404
    assert registry('DELETE', f'/v2/reg/del/manifests/{digest}').status_code == 404
    assert registry('GET', '/v2/reg/del/tags/list').json()['tags'] == []
    assert registry('DELETE', f'/v2/reg/del/blobs/{layer}').status_code == 202
    assert registry('DELETE', f'/v2/reg/del/blobs/{layer}').status_code == 404


def test_the_images_api(strata, registry, guest):
    _, body = registry.image('reg/api/deep', 'v1')
    registry.manifest('reg/api/deep', 'v2', body)
    base = '/api/v1/projects/reg/repositories'
    row = [i for i in guest('GET', base + '?limit=1000').json()['items'] if i['name'] == 'api/deep'][0]
    m = json.loads(body)
    size = m['config']['size'] + m['layers'][0]['size']
    assert row['tags'] == 2 and row['size_bytes'] == size and row['updated_at'].endswith('Z')
    page = guest('GET', base + '?limit=1').json()
    assert len(page['items']) == 1 and page['next'] == page['items'][0]['name']
    assert guest('GET', base + '?limit=1&after=' + page['next']).json()['items'][0]['name'] > page['next']
    tags = guest('GET', f'{base}/api/deep/tags').json()
    assert [t['tag'] for t in tags['items']] == ['v1', 'v2'] and tags['next'] is None
    one = tags['items'][0]
    assert one['digest'] == sha(body) and one['media_type'] == OCI_MANIFEST and one['platform'] == 'linux/amd64'
    assert one['size_bytes'] == size + len(body)
    assert guest('DELETE', f'{base}/api/deep/tags/v1').status_code == 403
    assert registry('DELETE', f'{base}/api/deep/tags/v1').status_code == 204
    assert registry('GET', f'/v2/reg/api/deep/manifests/{sha(body)}').status_code == 200
    assert registry('DELETE', f'{base}/api/deep/tags/v2').status_code == 204
    assert registry('GET', f'/v2/reg/api/deep/manifests/{sha(body)}').status_code == 404
    assert registry('DELETE', f'{base}/api/deep/tags/v2').status_code == 404
    registry.image('reg/api/deep', 'v3')
    assert registry('DELETE', f'{base}/api/deep').status_code == 204
    assert registry('GET', '/v2/reg/api/deep/tags/list').status_code == 404
    assert registry('DELETE', f'{base}/api/deep').status_code == 404


def test_a_repository_may_be_named_as_a_tag_is_deleted(registry):
    base = '/api/v1/projects/reg/repositories'
    registry.image('reg/both', 'v1')
    digest, _ = registry.image('reg/both/tags/v1', 'x')
    r = registry('DELETE', f'{base}/both/tags/v1')
    assert r.status_code == 409 and 'DELETE /v2/reg/both/manifests/v1' in r.json()['error']['message']
    assert registry('GET', '/v2/reg/both/manifests/v1').status_code == 200
    assert registry('DELETE', '/v2/reg/both/manifests/v1').status_code == 202
    assert registry('DELETE', f'{base}/both/tags/v1').status_code == 204  # now it only names the repository
    assert registry('GET', f'/v2/reg/both/tags/v1/manifests/{digest}').status_code == 404
    assert registry('DELETE', f'{base}/both/tags/v1').status_code == 404
    registry.image('reg/deep/tags/v1', 'x')  # where there is no reg/deep
    assert registry('DELETE', f'{base}/deep/tags/v1').status_code == 204
    assert registry('GET', '/v2/reg/deep/tags/v1/manifests/x').status_code == 404


def test_a_project_takes_its_images_along(strata, registry):
    strata.project('reg-temp')
    registry.image('reg-temp/app', 'v1')
    assert strata.api('DELETE', '/api/v1/projects/reg-temp').status_code == 204
    strata.project('reg-temp')
    assert registry('GET', '/v2/reg-temp/app/manifests/v1').status_code == 404


def test_a_push_into_a_deleted_project_does_not_land_in_its_successor(strata, registry):
    strata.project('reg-again')
    data, where = os.urandom(1000), registry.upload('reg-again/app')
    session = registry.upload('reg-again/app')

    def body():  # the upload has begun; before it ends, the project is another one
        yield data[:500]
        assert strata.api('DELETE', '/api/v1/projects/reg-again').status_code == 204
        strata.project('reg-again')
        yield data[500:]
    r = registry('PUT', where, params={'digest': sha(data)}, data=body())
    # The second when the server looked at the session only after its project had gone: nothing waits for that here.
    assert r.status_code == 404 and code(r) in ('NAME_UNKNOWN', 'BLOB_UPLOAD_UNKNOWN')
    assert registry('HEAD', f'/v2/reg-again/app/blobs/{sha(data)}').status_code == 404
    r = registry('PUT', session, params={'digest': sha(data)}, data=data)
    assert r.status_code == 404 and code(r) == 'BLOB_UPLOAD_UNKNOWN'


def test_pushes_are_events(strata, registry):
    seen = []
    with requests.get(strata.url + '/api/v1/events', auth=('admin', strata.admin_password), stream=True,
                      timeout=30) as r:
        assert r.status_code == 200
        digest, _ = registry.image('reg/events', 'v1')
        for line in r.iter_lines():
            if line.startswith(b'data:') and b'"events"' in line:
                seen = json.loads(line[5:])
                break
    assert seen == {'project': 'reg', 'repository': 'events', 'tag': 'v1', 'digest': digest, 'action': 'pushed'}


# --- restarts; the server of its own is the slowest thing here, so it is last ---

def test_images_and_uploads_survive_a_kill(own_strata):
    strata = own_strata().start()
    strata.project('reg')
    registry = Registry(strata)
    data = os.urandom(400_000)
    digest, body = registry.image('reg/app', 'v1')
    where = registry.upload('reg/app')
    assert registry('PATCH', where, data=data[:150_000]).status_code == 202
    token = registry.token('repository:reg/app:pull')
    strata.kill()
    strata.start()
    assert registry('GET', '/v2/reg/app/manifests/v1', token=token).content == body
    r = registry('GET', where)
    assert r.status_code == 204 and r.headers['Range'] == '0-149999'
    r = registry('PATCH', where, data=data[150_000:300_000], headers={'Content-Range': '150000-299999'})
    assert r.status_code == 202
    r = registry('PUT', where, params={'digest': sha(data)}, data=data[300_000:])
    assert r.status_code == 201, r.text
    assert registry('GET', f'/v2/reg/app/blobs/{sha(data)}').content == data
    assert oct((strata.state / 'registry.key').stat().st_mode)[-3:] == '600'


def test_a_full_disk_is_told_and_passes(own_strata, scratch):
    disk = scratch / 'small-disk'
    disk.mkdir()
    disk.chmod(0o755)
    command('mount', '-t', 'tmpfs', '-o', 'size=48m,mode=755', 'tmpfs', disk)
    try:
        strata = own_strata(state=disk / 'state').start()
        strata.project('reg')
        registry = Registry(strata)
        digest, body = registry.image('reg/app', 'v1')
        big = os.urandom(40 << 20)
        for method, where in (('PATCH', registry.upload('reg/app')), ('PUT', registry.upload('reg/app')),
                              ('POST', '/v2/reg/app/blobs/uploads/')):
            r = registry(method, where, params={'digest': sha(big + big)}, data=big + big)
            assert r.status_code == 507 and 'No space left' in r.text, f'{method}: {r.status_code} {r.text}'
            if method != 'POST':
                assert registry('GET', where).status_code == 404  # its space is free again
        assert registry('GET', '/v2/reg/app/manifests/v1').content == body
        registry.image('reg/app', 'v2')
        strata.stop()
    finally:
        if strata.process.poll() is None:
            strata.stop()
        command('umount', '-l', disk)


def test_lists_say_when_and_how_often_images_are_pulled(strata, registry):
    """Noted in memory, written down before they are listed (every two seconds at most)."""
    registry.image('reg/pulled', 'v1')

    def rows():
        base = f'{strata.url}/api/v1/projects/reg/repositories'
        repository = next(r for r in requests.get(base, params={'q': 'pulled'}, auth=registry.auth, timeout=30).json()['items'] if r['name'] == 'pulled')
        return repository, requests.get(f'{base}/pulled/tags', auth=registry.auth, timeout=30).json()['items'][0]
    assert [(r['pulls'], r['pulled_at']) for r in rows()] == [(0, None)] * 2
    registry('HEAD', '/v2/reg/pulled/manifests/v1')
    for _ in range(3):
        assert registry('GET', '/v2/reg/pulled/manifests/v1').status_code == 200
    wait_for(lambda: all(r['pulls'] == 3 and r['pulled_at'] for r in rows()), 30, 'the pulls are counted')
