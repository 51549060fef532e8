"""What clients do that registries get wrong: each seen on the wire, in a specification or in somebody's bug report."""
import gzip
import json
import os
import re
import socket
import subprocess
import threading

import pytest

from conftest import wait_for
from test_c20_registry import OCI_INDEX, OCI_MANIFEST, Registry, code, command, layout, need, sha, work  # noqa: F401: fixtures
from test_c25_registry_fsck import fsck

DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'


@pytest.fixture(scope='module')
def registry(strata):
    strata.project('trap')
    strata.project('trap-public', public=True)
    return Registry(strata)


# --- who one is ---

def test_challenges_name_where_to_ask(own_strata):
    """Behind a proxy that ends TLS, clients must find the token service where they found the registry."""
    s = own_strata(args=['--set', 'net.trusted_proxies=127.0.0.0/8']).start()
    s.project('demo')
    there = Registry(s)
    sent = {'X-Forwarded-Proto': 'https', 'X-Forwarded-Host': 'images.example:8443'}
    r = there('GET', '/v2/', auth=None, headers=sent)
    assert r.headers['WWW-Authenticate'] == 'Bearer realm="https://images.example:8443/service/token",service="strata"'
    r = there('POST', '/v2/demo/app/blobs/uploads/', headers=sent)
    assert re.fullmatch(r'(https://images\.example:8443)?/v2/demo/app/blobs/uploads/\w+', r.headers['Location'])


@pytest.mark.parametrize('method, path, actions', [
    ('GET', 'manifests/v1', 'pull'), ('HEAD', 'manifests/v1', 'pull'), ('GET', 'tags/list', 'pull'), ('GET', 'blobs/' + sha(b''), 'pull'),
    ('HEAD', 'blobs/' + sha(b''), 'pull'), ('GET', 'referrers/' + sha(b''), 'pull'), ('POST', 'blobs/uploads/', 'pull,push'),
    ('PUT', 'manifests/v1', 'pull,push'), ('DELETE', 'manifests/v1', None), ('DELETE', 'blobs/' + sha(b''), None)])
def test_nobody_is_asked_for_a_token_that_would_do(registry, method, path, actions):
    """Also in public projects and where nothing is: with what the challenge asks for, an administrator's token opens it."""
    for repo in ('trap-public/app', 'trap/app', 'no-such-project/app'):
        r = registry(method, f'/v2/{repo}/{path}', auth=None)
        assert r.status_code == 401 and r.headers['Docker-Distribution-Api-Version'] == 'registry/2.0'
        assert method == 'HEAD' or (code(r) == 'UNAUTHORIZED' and r.json()['errors'][0]['message'])
        scope = re.search(r'scope="([^"]*)"', r.headers['WWW-Authenticate']).group(1)
        assert scope.startswith(f'repository:{repo}:') and (actions is None or scope.endswith(':' + actions)), scope
        if repo.startswith('trap'):
            assert registry(method, f'/v2/{repo}/{path}', token=registry.token(scope)).status_code not in (401, 403)


def test_a_mount_asks_for_the_target_first(registry):
    r = registry('POST', '/v2/trap/to/blobs/uploads/', params={'mount': sha(b'x'), 'from': 'trap-public/from'}, auth=None)
    scope = re.search(r'scope="([^"]*)"', r.headers['WWW-Authenticate']).group(1)
    assert r.status_code == 401 and scope.split(' ')[0] == 'repository:trap/to:pull,push', scope


def test_bad_tokens_are_told_so(registry):
    good = registry.token('repository:trap/app:pull')
    head, body, signature = good.split('.')
    none = 'eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0'
    for token in ('x', 'a.b.c', f'{head}.{body}.', f'{none}.{body}.', f'{none}.{body}.{signature}', f'{head}.{body}.{signature[:-4]}AAAA', good + 'A'):
        r = registry('GET', '/v2/', token=token)
        assert r.status_code == 401 and r.headers['WWW-Authenticate'].startswith('Bearer realm='), token
    assert registry('GET', '/v2/', token=good).status_code == 200


def test_scopes_that_are_none_are_passed_over(registry):
    for scope in ('', ' ', 'repository', 'repository:', 'repository:trap/app', 'repository:trap/app:', 'repository:trap/app:fly', 'x:y:z',
                  'repository:' + 'a' * 5000 + ':pull', 'repository:../x:pull', 'repository:trap/app:pull,,push'):
        r = registry('GET', '/service/token', params={'service': 'strata', 'scope': scope})
        assert r.status_code in (200, 400), scope
        if r.status_code == 200:
            assert registry('GET', '/v2/', token=r.json()['token']).status_code == 200


def test_the_old_search_is_not_there(registry):
    """podman asks for it first and then for the catalog."""
    assert registry('GET', '/v1/search', params={'q': 'trap'}).status_code == 404


# --- uploads as clients send them ---

def raw(strata, text, body=b''):
    """An exchange byte by byte; the status, headers and body of the last answer."""
    with socket.create_connection(('127.0.0.1', strata.port), timeout=30) as s:
        s.sendall(text.encode())
        go_on = b''
        if 'Expect:' in text:
            go_on = s.recv(25)
            assert go_on == b'HTTP/1.1 100 Continue\r\n\r\n', go_on
        s.sendall(body)
        answer = b''
        while chunk := s.recv(65536):
            answer += chunk
    head, _, rest = answer.partition(b'\r\n\r\n')
    lines = head.decode().split('\r\n')
    return int(lines[0].split()[1]), {k.lower(): v for k, v in (x.split(': ', 1) for x in lines[1:])}, rest


def test_a_fresh_session_has_a_range_and_an_id(registry):
    r = registry('POST', '/v2/trap/app/blobs/uploads/')
    assert r.status_code == 202 and r.headers['Range'] == '0-0' and r.headers['Location'].endswith(r.headers['Docker-Upload-UUID'])
    assert r.headers['Content-Length'] == '0'
    assert registry('GET', r.headers['Location']).headers['Range'] == '0-0'


def test_docker_streams_without_type_and_curl_waits(strata, registry):
    token, data = registry.token('repository:trap/app:pull,push'), os.urandom(3000)
    where = registry.upload('trap/app')
    base = f'Host: 127.0.0.1\r\nAuthorization: Bearer {token}\r\nConnection: close\r\n'
    chunked = b''.join(b'%x\r\n%b\r\n' % (len(p), p) for p in (data[:1000], data[1000:2000])) + b'0\r\n\r\n'
    status, headers, _ = raw(strata, f'PATCH {where} HTTP/1.1\r\n{base}Transfer-Encoding: chunked\r\n\r\n', chunked)
    assert status == 202 and headers['range'] == '0-1999'
    digest = sha(data).replace(':', '%3A')
    status, headers, _ = raw(strata, f'PUT {where}?digest={digest} HTTP/1.1\r\n{base}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n', data[2000:])
    assert status == 201 and headers['docker-content-digest'] == sha(data)
    assert registry('GET', headers['location']).content == data


def test_the_empty_blob(registry):
    for algorithm in ('sha256', 'sha512'):
        digest = registry.blob('trap/empty', b'', algorithm)
        r = registry('GET', f'/v2/trap/empty/blobs/{digest}')
        assert r.status_code == 200 and r.content == b'' and r.headers['Content-Length'] == '0'
        assert registry('GET', f'/v2/trap/empty/blobs/{digest}', headers={'Range': 'bytes=0-0'}).status_code in (200, 416)


def test_a_digest_algorithm_may_be_announced(registry):
    data = os.urandom(100)
    r = registry('POST', '/v2/trap/app/blobs/uploads/', params={'digest-algorithm': 'sha512'})
    assert r.status_code == 202
    r = registry('PUT', r.headers['Location'], params={'digest': sha(data, 'sha512')}, data=data)
    assert r.status_code == 201 and r.headers['Docker-Content-Digest'] == sha(data, 'sha512')


def test_many_pushes_of_one_blob_store_it_once(own_strata):
    s = own_strata().start()
    s.project('demo')
    there, data, digests = Registry(s), os.urandom(3 << 20), []
    start = threading.Barrier(32)

    def push(n):
        where = there.upload(f'demo/r{n % 8}')
        start.wait(60)
        r = there('PUT', where, params={'digest': sha(data)}, data=data)
        digests.append((r.status_code, r.headers.get('Docker-Content-Digest')))
    threads = [threading.Thread(target=push, args=(n,)) for n in range(32)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert digests == [(201, sha(data))] * 32
    storage = s.api('GET', '/api/v1/registry/storage').json()
    assert (storage['blobs'], storage['stored_bytes'], storage['uploads']) == (1, len(data), 0)
    files = [p for p in (s.state / 'blobs').rglob('*') if p.is_file() and p.stat().st_size == len(data)]
    assert len(files) == 1, files
    fsck(s, '--deep', code=0)


# --- what is served ---

def test_nothing_is_compressed_on_the_way(registry):
    digest, body = registry.image('trap/plain', 'v1', annotations={'long': 'a' * 20000})
    config = json.loads(body)['config']['digest']
    for path in ('manifests/v1', f'manifests/{digest}', f'blobs/{config}'):
        r = registry('GET', f'/v2/trap/plain/{path}', headers={'Accept-Encoding': 'gzip, deflate, br, zstd'})
        assert r.status_code == 200 and 'Content-Encoding' not in r.headers and sha(r.content) == r.headers['Docker-Content-Digest']
        h = registry('HEAD', f'/v2/trap/plain/{path}', headers={'Accept-Encoding': 'gzip'})
        assert h.headers['Content-Length'] == str(len(r.content)) and 'Content-Encoding' not in h.headers
        assert h.headers['Content-Type'] == r.headers['Content-Type'] and h.headers['Docker-Content-Digest'] == r.headers['Docker-Content-Digest']


def test_what_is_accepted_comes_in_several_headers(strata, registry):
    _, body = registry.image('trap/accept', 'v1')
    token = registry.token('repository:trap/accept:pull')
    for accept in (('application/json', OCI_INDEX, OCI_MANIFEST), (DOCKER_MANIFEST,), ('text/html',)):
        lines = ''.join(f'Accept: {a}\r\n' for a in accept)
        status, headers, got = raw(strata, f'GET /v2/trap/accept/manifests/v1 HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {token}\r\n'
                                   f'Connection: close\r\n{lines}\r\n')
        assert status == 200 and got == body and headers['content-type'] == OCI_MANIFEST


def test_references_that_cannot_be_are_no_failures_of_ours(registry):
    registry.image('trap/refs', 'v1')
    for ref in ('sha256:', 'sha256:zz', 'sha256:' + 'a' * 63, 'sha512:' + 'a' * 64, 'md5:' + 'a' * 32, '-x', 'a' * 129, 'x%2Fy', '%00', '..', 'v1%20'):
        for method in ('GET', 'HEAD', 'DELETE'):
            assert registry(method, f'/v2/trap/refs/manifests/{ref}').status_code in (400, 404), (method, ref)
        assert registry('PUT', f'/v2/trap/refs/manifests/{ref}', data=b'{}', headers={'Content-Type': OCI_MANIFEST}).status_code in (400, 404), ref
        assert registry('GET', f'/v2/trap/refs/blobs/{ref}').status_code in (400, 404), ref
    assert registry('GET', '/v2/trap/refs/tags/list').json()['tags'] == ['v1']


def test_a_subject_need_not_be_here_and_is_told(registry):
    empty, missing = registry.blob('trap/subject', b'{}'), sha(b'comes later')
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': 'application/vnd.x.config', 'digest': empty, 'size': 2},
                       'layers': [], 'subject': {'mediaType': OCI_MANIFEST, 'digest': missing, 'size': 5}}).encode()
    assert registry.manifest('trap/subject', sha(body), body).headers['OCI-Subject'] == missing
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'artifactType': 'application/vnd.x.index', 'manifests': [],
                        'subject': {'mediaType': OCI_MANIFEST, 'digest': missing, 'size': 5}}).encode()
    assert registry.manifest('trap/subject', sha(index), index, OCI_INDEX).headers['OCI-Subject'] == missing
    rows = registry('GET', f'/v2/trap/subject/referrers/{missing}').json()['manifests']
    assert sorted((r['digest'], r['artifactType']) for r in rows) == sorted(
        [(sha(body), 'application/vnd.x.config'), (sha(index), 'application/vnd.x.index')]), 'without artifactType, that of the config'
    assert registry('DELETE', f'/v2/trap/subject/manifests/{sha(body)}').status_code == 202
    assert [r['digest'] for r in registry('GET', f'/v2/trap/subject/referrers/{missing}').json()['manifests']] == [sha(index)]


def test_docker_schema_2_and_its_lists_are_kept_as_they_are(registry):
    config, layer = registry.blob('trap/docker', b'{"os":"linux","architecture":"amd64"}'), registry.blob('trap/docker', gzip.compress(b''))
    image = json.dumps({'schemaVersion': 2, 'mediaType': DOCKER_MANIFEST,
                        'config': {'mediaType': 'application/vnd.docker.container.image.v1+json', 'digest': config, 'size': 37},
                        'layers': [{'mediaType': 'application/vnd.docker.image.rootfs.diff.tar.gzip', 'digest': layer, 'size': len(gzip.compress(b''))}]},
                       indent=3).encode()
    registry.manifest('trap/docker', 'one', image, DOCKER_MANIFEST)
    kind = 'application/vnd.docker.distribution.manifest.list.v2+json'
    both = json.dumps({'schemaVersion': 2, 'mediaType': kind, 'manifests': [
        {'mediaType': DOCKER_MANIFEST, 'digest': sha(image), 'size': len(image), 'platform': {'os': 'linux', 'architecture': 'amd64'}}]}).encode()
    registry.manifest('trap/docker', 'list', both, kind)
    for tag, body, media_type in (('one', image, DOCKER_MANIFEST), ('list', both, kind)):
        r = registry('GET', f'/v2/trap/docker/manifests/{tag}', headers={'Accept': f'{OCI_MANIFEST}, {OCI_INDEX}'})
        assert r.content == body and r.headers['Content-Type'] == media_type


# --- over TLS, as everybody runs it ---

def test_real_clients_over_tls(own_strata, scratch, layout, work):  # noqa: F811
    need('skopeo')
    certs = scratch / 'trap-certs'
    certs.mkdir(mode=0o755)
    scratch.chmod(0o755)
    cert, key = certs / 'ca.crt', certs / 'server.pem'
    command('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2', '-subj', '/CN=localhost',
            '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-keyout', key, '-out', cert)
    key.chmod(0o644)
    s = own_strata(args=['--set', f'net.tls_cert={cert}', '--set', f'net.tls_key={key}'])
    s.start(check=False)
    wait_for(lambda: 'server.ready port=' in s.log(), 30, 'it serves')
    curl = ['curl', '-sS', '-f', '--cacert', cert, '-u', f'admin:{s.admin_password}']
    command(*curl, '-H', 'Content-Type: application/json', '-d', '{"name":"demo"}', f'https://{s.listen}/api/v1/projects')
    r = subprocess.run(['curl', '-sS', '-i', '--cacert', cert, f'https://{s.listen}/v2/'], capture_output=True, text=True, check=True)
    assert f'Bearer realm="https://{s.listen}/service/token"' in r.stdout
    only = work / 'tls-certs'
    only.mkdir()
    (only / 'ca.crt').write_text(cert.read_text())
    where, creds = f'docker://{s.listen}/demo/app', f'admin:{s.admin_password}'
    command('skopeo', 'copy', '--dest-cert-dir', only, '--dest-creds', creds, f'oci:{layout}:v1', f'{where}:v1')
    command('skopeo', 'copy', '--src-cert-dir', only, '--src-creds', creds, f'{where}:v1', f'dir:{work}/by-tls')
    digest = json.loads((layout / 'index.json').read_text())['manifests'][0]['digest']
    assert sha((work / 'by-tls/manifest.json').read_bytes()) == digest
    r = command('skopeo', 'copy', '--src-creds', creds, f'{where}:v1', f'dir:{work}/by-nobody', check=False)
    assert r.returncode != 0 and 'x509' in r.stderr, 'a certificate that nobody knows'
    if os.path.exists('/usr/bin/podman'):
        env = {'REGISTRY_AUTH_FILE': str(work / 'tls-auth.json'), 'HOME': str(work)}
        podman = ['podman', '--root', work / 'ts', '--runroot', work / 'tsr', '--storage-driver', 'vfs', '--cgroup-manager', 'cgroupfs',
                  '--events-backend', 'file', '--tmpdir', work / 'tt']
        try:
            command(*podman, 'login', '--cert-dir', only, '-u', 'admin', '--password-stdin', s.listen, env=env, input=s.admin_password)
            command(*podman, 'pull', '--cert-dir', only, f'{s.listen}/demo/app:v1', env=env)
            command(*podman, 'push', '--cert-dir', only, f'{s.listen}/demo/app:v1', f'{s.listen}/demo/again:v2', env=env)
        finally:
            command(*podman, 'rmi', '--all', '-f', env=env, check=False)
    assert '"v2"' in command(*curl, f'https://{s.listen}/v2/demo/again/tags/list').stdout
