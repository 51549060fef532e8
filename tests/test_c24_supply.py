"""Signatures, SBOMs and vulnerabilities of images, and what a project asks of them. Signatures are made with openssl in
the forms of cosign: simple signing below a tag, and a sigstore bundle as a referrer."""
import base64
import http.server
import json
import subprocess
import threading

import pytest
import requests

from conftest import wait_for
from test_c23_replication import Side
from test_c20_registry import OCI_CONFIG, OCI_INDEX, OCI_MANIFEST, Registry, code, sha

V1 = '/api/v1/projects/'
SIMPLE = 'application/vnd.dev.cosign.simplesigning.v1+json'
BUNDLE = 'application/vnd.dev.sigstore.bundle.v0.3+json'
ALGORITHMS = {'ECDSA P-256': ('EC', 'ec_paramgen_curve:P-256'), 'ECDSA P-384': ('EC', 'ec_paramgen_curve:P-384'),
              'RSA': ('RSA', 'rsa_keygen_bits:2048'), 'Ed25519': ('ED25519', None)}


def openssl(*args, data=None):
    return subprocess.run(['openssl', *map(str, args)], input=data, check=True, capture_output=True).stdout


class Key:
    def __init__(self, path, algorithm='ECDSA P-256'):
        kind, option = ALGORITHMS[algorithm]
        self.path, self.algorithm = path, algorithm
        openssl('genpkey', '-algorithm', kind, *(('-pkeyopt', option) if option else ()), '-out', path)
        self.pem = openssl('pkey', '-in', path, '-pubout').decode()

    def sign(self, data):
        if self.algorithm == 'Ed25519':
            text = self.path.with_suffix('.text')
            text.write_bytes(data)
            return openssl('pkeyutl', '-sign', '-inkey', self.path, '-rawin', '-in', text)
        return openssl('dgst', '-sha256', '-sign', self.path, data=data)


class Project:
    """A project with keys and rules, and what is pushed into it."""

    def __init__(self, strata, name):
        self.strata, self.name = strata, strata.project(name)
        self.registry = Registry(strata)

    def api(self, method, path, status=200, **kwargs):
        r = self.strata.api(method, f'{V1}{self.name}/{path}', **kwargs)
        assert r.status_code == status, r.text
        return r.json() if r.content else None

    def trust(self, name, key):
        return self.api('POST', 'trust-keys', 201, json={'name': name, 'pem': key.pem})

    def rules(self, **rules):
        return self.api('PUT', 'trust-policy', json=rules)

    def of(self, ref, what, status=200, repo='app', method='GET', **kwargs):
        return self.api(method, f'repositories/{repo}/artifacts/{ref}/{what}', status, **kwargs)

    def image(self, tag='1', **more):
        return self.registry.image(f'{self.name}/app', tag, **more)[0]

    def pull(self, ref, agent='skopeo/1', registry=None):
        return (registry or self.registry)('GET', f'/v2/{self.name}/app/manifests/{ref}', headers={'User-Agent': agent})

    def artifact(self, layers, tag=None, config=b'{}', **more):
        """A manifest of (bytes, media type, annotations)."""
        repo, described = f'{self.name}/app', []
        for data, media_type, annotations in layers:
            described.append({'mediaType': media_type, 'digest': self.registry.blob(repo, data), 'size': len(data),
                              'annotations': annotations})
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
                           'config': {'mediaType': OCI_CONFIG, 'digest': self.registry.blob(repo, config), 'size': len(config)},
                           'layers': described, **more}).encode()
        self.registry.manifest(repo, tag or sha(body), body)
        return sha(body)

    def cosign(self, digest, key, about=None, spoil=False):
        """As `cosign sign --key`: the payload as a layer, the signature as its annotation, below a tag."""
        payload = json.dumps({'critical': {'identity': {'docker-reference': f'hub/{self.name}/app'},
                                           'image': {'docker-manifest-digest': about or digest},
                                           'type': 'cosign container image signature'}, 'optional': None}).encode()
        signature = base64.b64encode(key.sign(payload)).decode()
        if spoil:
            payload = payload.replace(b'"optional": null', b'"optional": {} ')
        return self.artifact([(payload, SIMPLE, {'dev.cosignproject.cosign/signature': signature})],
                             digest.replace(':', '-') + '.sig')

    def bundle(self, digest, key, predicate='https://sigstore.dev/cosign/sign/v1'):
        """As newer cosigns: a DSSE envelope in a bundle that refers to the image."""
        statement = json.dumps({'_type': 'https://in-toto.io/Statement/v1', 'subject': [{'digest': {'sha256': digest[7:]}}],
                                'predicateType': predicate, 'predicate': {}}).encode()
        signed = b'DSSEv1 28 application/vnd.in-toto+json %d %s' % (len(statement), statement)
        data = json.dumps({'mediaType': BUNDLE, 'dsseEnvelope': {
            'payload': base64.b64encode(statement).decode(), 'payloadType': 'application/vnd.in-toto+json',
            'signatures': [{'sig': base64.b64encode(key.sign(signed)).decode()}]}}).encode()
        return self.refer(digest, data, BUNDLE)

    def refer(self, digest, data, media_type):
        return self.artifact([(data, media_type, {})], artifactType=media_type,
                             subject={'mediaType': OCI_MANIFEST, 'digest': digest, 'size': 1})

    def index(self, *digests, tag='many'):
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
            {'mediaType': OCI_MANIFEST, 'digest': d, 'size': 1, 'platform': {'os': 'linux', 'architecture': 'amd64'}}
            for d in digests]}).encode()
        self.registry.manifest(f'{self.name}/app', tag, body, OCI_INDEX)
        return sha(body)


@pytest.fixture(scope='module')
def keys(tmp_path_factory):
    made, folder = {}, tmp_path_factory.mktemp('keys')

    def key(algorithm='ECDSA P-256', name='a'):
        if (algorithm, name) not in made:
            made[algorithm, name] = Key(folder / f'{name}{len(made)}.pem', algorithm)
        return made[algorithm, name]
    return key


@pytest.fixture
def project(strata, request):
    return Project(strata, 'supply-' + request.node.name.split('[')[0][5:40].replace('_', '-').strip('-'))


# --- signatures ---

@pytest.mark.parametrize('algorithm', ALGORITHMS)
def test_a_signature_is_verified_by_a_key_of_the_project(strata, keys, algorithm):
    p = Project(strata, 'supply-key-' + algorithm.lower().replace(' ', '-'))
    digest = p.image()
    p.cosign(digest, keys(algorithm))
    assert p.of('1', 'trust')['signed_by'] is None
    assert p.trust('release', keys(algorithm))['algorithm'] == algorithm
    assert p.of('1', 'trust') == {'digest': digest, 'signed_by': 'release', 'pull_refused': None, 'run_refused': None, 'report': None, 'scan': None}
    assert [(a['kind'], a['verified_by']) for a in p.of(digest, 'accessories')['items']] == [('cosign-signature', 'release')]
    p.api('DELETE', 'trust-keys/release', 204)
    assert p.of('1', 'trust')['signed_by'] is None


def test_what_belongs_to_an_image_is_told_by_its_kind(project, keys):
    digest = project.image()
    project.trust('k', keys())
    for media_type in ('application/vnd.cncf.notary.signature', 'application/spdx+json', 'application/vnd.cyclonedx+json',
                       'application/vnd.in-toto+json', 'application/x-thing'):
        project.refer(digest, b'{}', media_type)
    project.bundle(digest, keys())
    project.cosign(digest, keys())
    items = project.of('1', 'accessories')['items']
    assert {a['pushed_by'] for a in items} == {'admin'} and all(a['pushed_at'] for a in items)
    kinds = [(a['kind'], a['verified_by']) for a in items]
    assert kinds == [('cosign-signature', 'k'), ('sigstore-bundle', 'k'), ('other', None), ('attestation', None),
                     ('sbom', None), ('sbom', None), ('notation-signature', None)]


def test_a_signature_counts_for_what_was_signed_only(project, keys):
    project.trust('k', keys())
    other, digest = project.image('other'), project.image()
    project.cosign(digest, keys(name='stranger'))
    assert project.of('1', 'trust')['signed_by'] is None
    project.cosign(digest, keys(), about=other)
    assert project.of('1', 'trust')['signed_by'] is None
    project.cosign(digest, keys(), spoil=True)
    assert project.of('1', 'trust')['signed_by'] is None
    project.bundle(digest, keys(), predicate='https://slsa.dev/provenance/v1')
    assert project.of('1', 'trust')['signed_by'] is None
    project.cosign(digest, keys())
    assert project.of('1', 'trust')['signed_by'] == 'k'
    project.registry('DELETE', f'/v2/{project.name}/app/manifests/{digest.replace(":", "-")}.sig')
    signature = project.of('1', 'accessories')['items']
    assert [a['kind'] for a in signature] == ['sigstore-bundle'] and project.of('1', 'trust')['signed_by'] is None


def test_one_look_for_signatures_has_a_bound(project, keys):
    """21 manifests with 100 spoiled signatures each, all newer than the good one."""
    project.trust('k', keys())
    project.rules(require_signature='pull')
    digest = project.image()
    project.bundle(digest, keys())
    repo = f'{project.name}/app'
    payload = json.dumps({'critical': {'image': {'docker-manifest-digest': digest}, 'type': 'cosign container image signature'}}).encode()
    layer, config = (project.registry.blob(repo, data) for data in (payload, b'{}'))
    for i in range(21):
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': OCI_CONFIG, 'digest': config, 'size': 2},
                           'subject': {'mediaType': OCI_MANIFEST, 'digest': digest, 'size': 1}, 'annotations': {'n': str(i)},
                           'layers': [{'mediaType': SIMPLE, 'digest': layer, 'size': len(payload),
                                       'annotations': {'dev.cosignproject.cosign/signature': 'AAAA'}}] * 100}).encode()
        project.registry.manifest(repo, sha(body), body)
    r = project.pull('1')
    assert r.status_code == 403 and 'too many signatures for one look' in r.json()['errors'][0]['message'], r.text
    # What was looked at is remembered: the next one comes to the good one.
    assert project.pull('1').status_code == 200


def test_keys_that_cannot_be_are_refused(project, keys):
    def refused(status, **body):
        return project.api('POST', 'trust-keys', status, json=body)['error']['message']
    project.trust('k', keys())
    assert 'already' in refused(409, name='k', pem=keys().pem)
    assert 'private' in refused(400, name='p', pem=keys().path.read_text())
    assert 'BEGIN PUBLIC KEY' in refused(400, name='p', pem='x')
    assert 'beginning with a letter or a digit' in refused(400, name='A b', pem=keys().pem)
    small = openssl('genpkey', '-algorithm', 'RSA', '-pkeyopt', 'rsa_keygen_bits:1024')
    assert 'not taken' in refused(400, name='p', pem=openssl('pkey', '-pubout', data=small).decode())
    refused(413, name='p', pem='x' * 10000)
    assert project.api('DELETE', 'trust-keys/none', 404)['error']['message'].count('no key')
    assert [k['name'] for k in project.api('GET', 'trust-keys', params={'q': 'K'})['items']] == ['k']


# --- rules ---

def test_only_signed_images_are_pulled(project, keys):
    digest = project.image()
    project.trust('k', keys())
    assert project.rules(require_signature='pull')['require_signature'] == 'pull'
    refused = project.pull('1')
    assert refused.status_code == 403 and code(refused) == 'DENIED' and 'cosign sign' in refused.text
    assert project.pull(digest).status_code == 403
    assert project.registry('HEAD', f'/v2/{project.name}/app/manifests/1').status_code == 200
    assert project.pull('1', 'cosign/v2 (linux)').status_code == 200
    project.cosign(digest, keys())
    assert project.pull('1').status_code == project.pull(digest).status_code == 200
    assert project.pull(digest.replace(':', '-') + '.sig').status_code == 200
    project.api('DELETE', 'trust-keys/k', 204)
    assert project.pull('1').status_code == 403
    assert project.pull(digest.replace(':', '-') + '.sig').status_code == 200
    project.rules()
    assert project.pull('1').status_code == 200


def test_a_token_for_pulling_pulls_what_anybody_pulls(project, strata, keys):
    """What a token was given decides, neither the tool's name nor what its user may besides."""
    def get(token, agent='skopeo/1'):
        return project.registry('GET', f'/v2/{project.name}/app/manifests/1', token=token, headers={'User-Agent': agent})
    project.image()
    project.trust('k', keys())
    project.rules(require_signature='pull')
    scope = f'repository:{project.name}/app:'
    pulls, pushes = (project.registry.token(scope + actions) for actions in ('pull', 'pull,push'))
    assert get(pulls).status_code == 403 and get(pushes).status_code == 200
    # A tool that signs is told to ask for more, as it does: the challenge names what.
    told = get(pulls, 'cosign/v2 (linux)')
    assert told.status_code == 401 and 'is not signed' in told.text, told.text
    challenge = told.headers['WWW-Authenticate']
    assert f'scope="{scope}pull,push"' in challenge and 'insufficient_scope' in challenge
    assert get(pushes, 'cosign/v2 (linux)').status_code == 200
    # For whoever cannot have more there is nothing to ask for.
    strata.user('supply-reader', project.name, 'guest')
    reader = Registry(strata, 'supply-reader', 'correct horse battery')
    token = reader.token(scope + 'pull,push')
    assert get(token, 'cosign/v2').status_code == get(token).status_code == 403


def test_whoever_may_not_push_is_no_tool_that_signs(project, strata):
    project.image()
    project.rules(require_signature='pull')
    strata.user('supply-guest', project.name, 'guest')
    guest = Registry(strata, 'supply-guest', 'correct horse battery')
    assert project.pull('1', 'cosign/v2', guest).status_code == 403


def test_an_image_does_not_pass_as_its_own_signature(project):
    digest = project.image('base')
    project.rules(require_signature='pull')
    subject = {'mediaType': OCI_MANIFEST, 'digest': digest, 'size': 1}
    project.image('2', artifactType='application/vnd.cncf.notary.signature', subject=subject)
    assert project.pull('2').status_code == 403
    project.image(digest.replace(':', '-') + '.sig')
    assert project.pull(digest.replace(':', '-') + '.sig').status_code == 403


def test_the_signature_of_an_index_covers_its_images(project, keys):
    one, two = project.image('1'), project.image('2')
    index = project.index(one)
    project.trust('k', keys())
    project.rules(require_signature='pull_and_run')
    assert [project.pull(r).status_code for r in (index, one, two)] == [403, 403, 403]
    project.cosign(index, keys())
    assert [project.pull(r).status_code for r in (index, one, two)] == [200, 200, 403]


def test_every_index_that_lists_an_image_may_be_the_signed_one(project, keys):
    one, two = project.image('1'), project.image('2')
    signed = project.index(one, two, tag='signed')
    project.trust('k', keys())
    project.rules(require_signature='pull')
    project.cosign(signed, keys())
    for n in range(3):
        project.index(one, project.image(f'other{n}'), tag=f'later{n}')
    outer = project.index(signed, tag='outer')
    assert project.pull(one).status_code == project.pull(two).status_code == 200
    assert project.pull(outer).status_code == 403
    # Below two levels: the index of an index.
    deep = project.index(project.image('deep'), tag='inner')
    project.cosign(project.index(deep, tag='outermost'), keys())
    assert project.pull(deep).status_code == project.pull('deep').status_code == 200


def test_nothing_hides_an_older_signature(project, keys):
    digest = project.image()
    project.trust('k', keys())
    project.rules(require_signature='pull')
    project.bundle(digest, keys())
    for n in range(205):
        project.refer(digest, b'{"n": %d}' % n, 'application/spdx+json')
    assert project.pull('1').status_code == 200
    # Nor do other bundles: attestations come in the same form.
    other = project.image('2')
    project.bundle(other, keys())
    for n in range(205):
        project.bundle(other, keys(), predicate=f'https://example.com/{n}')
    assert project.pull('2').status_code == 200


def test_real_clients_are_told_why(project, keys, tmp_path):
    digest = project.image()
    project.trust('k', keys())
    project.rules(require_signature='pull')

    def copy():
        return subprocess.run(['skopeo', 'copy', '--src-tls-verify=false', '--src-creds', f'admin:{project.strata.admin_password}',
                               f'docker://{project.strata.url[7:]}/{project.name}/app:1', f'dir:{tmp_path}'],
                              capture_output=True, text=True)
    refused = copy()
    assert refused.returncode != 0 and 'is not signed with a key of the project' in refused.stderr
    project.cosign(digest, keys())
    assert copy().returncode == 0


def test_only_signed_images_run(project, keys, strata):
    strata.cli('image', 'push', f'{project.name}/app:1', '--program', '/bin/busybox', check=True)
    digest = project.of('1', 'trust')['digest']
    spec = {'image': f'{project.name}/app:1', 'command': ['true'], 'resources': {'cpu': '100m', 'memory': '64Mi'}}
    project.trust('k', keys())
    project.rules(require_signature='pull_and_run')
    assert 'is not signed' in strata.submit(project.name, spec, status=403)['error']['message']
    assert 'is not signed' in project.of('1', 'trust')['run_refused']
    project.rules(require_signature='pull')
    assert project.of('1', 'trust')['run_refused'] is None
    project.rules(require_signature='pull_and_run')
    project.cosign(digest, keys())
    assert strata.submit(project.name, spec)['state']


# --- vulnerabilities ---

SARIF = {'version': '2.1.0', 'runs': [{'tool': {'driver': {'name': 'Trivy', 'rules': [
    {'id': 'CVE-2019-1', 'helpUri': 'https://avd.example/1', 'shortDescription': {'text': 'musl: overflow'}},
    {'id': 'CVE-2019-2', 'helpUri': 'javascript:alert(1)', 'properties': {'security-severity': '9.8'}}]}}, 'results': [
        {'ruleId': 'CVE-2019-1', 'level': 'error', 'message': {
            'text': 'Package: musl\nInstalled Version: 1.1.20\nVulnerability CVE-2019-1\nSeverity: MEDIUM\nFixed Version: 1.1.21'}},
        {'ruleId': 'CVE-2019-2', 'ruleIndex': 1, 'message': {'text': 'Package: zlib\nInstalled Version: 1'}},
        {'ruleId': 'CVE-2019-3', 'message': {'text': 'seen'}, 'suppressions': [{'kind': 'external'}]}]}]}
CYCLONEDX = {'bomFormat': 'CycloneDX', 'specVersion': '1.5', 'metadata': {'tools': {'components': [{'name': 'grype'}]}},
             'components': [{'bom-ref': 'a', 'name': 'musl', 'version': '1.1', 'components': [{'bom-ref': 'b', 'name': 'zlib', 'version': '2'}]}],
             'vulnerabilities': [
                 {'id': 'CVE-1', 'source': {'url': 'https://nvd.example/1'}, 'ratings': [{'severity': 'low'}, {'score': 7.5}],
                  'recommendation': 'Upgrade musl to 1.2', 'affects': [{'ref': 'urn:cdx:1/1#a'}, {'ref': 'b'}]},
                 {'id': 'CVE-2', 'ratings': [{'severity': 'critical'}], 'analysis': {'state': 'not_affected'}, 'affects': [{'ref': 'a'}]}]}


def test_a_report_in_sarif(project):
    project.image()
    summary = project.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    assert (summary['critical'], summary['high'], summary['medium'], summary['low'], summary['unknown']) == (1, 0, 1, 0, 0)
    assert (summary['format'], summary['tool'], summary['created_by']) == ('sarif', 'Trivy', 'admin')
    items = project.of('1', 'vulnerabilities')['items']
    assert items == [
        {'severity': 'critical', 'id': 'CVE-2019-2', 'package': 'zlib', 'version': '1', 'fixed_version': '', 'link': '', 'title': 'Package: zlib'},
        {'severity': 'medium', 'id': 'CVE-2019-1', 'package': 'musl', 'version': '1.1.20', 'fixed_version': '1.1.21',
         'link': 'https://avd.example/1', 'title': 'musl: overflow'}]
    assert project.of('1', 'trust')['report'] == summary


def test_a_report_in_cyclonedx_takes_the_place_of_the_one_before(project):
    digest = project.image()
    project.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    summary = project.of(digest, 'vulnerabilities', method='PUT', json=CYCLONEDX)
    assert (summary['high'], summary['critical'], summary['tool']) == (2, 0, 'grype')
    assert [(f['package'], f['version'], f['fixed_version']) for f in project.of('1', 'vulnerabilities')['items']] == [
        ('musl', '1.1', 'Upgrade musl to 1.2'), ('zlib', '2', 'Upgrade musl to 1.2')]


def test_findings_are_filtered_and_paged_on_the_server(project):
    project.image()
    report = {'scanner': {'name': 'x'}, 'vulnerabilities': [
        {'id': f'CVE-{n}', 'package': f'p{n % 3}', 'version': '1', 'severity': ('Low', 'High')[n % 2]} for n in range(10)]}
    project.of('1', 'vulnerabilities', method='PUT', json=report)
    first = project.of('1', 'vulnerabilities', params={'limit': 4})
    rest = project.of('1', 'vulnerabilities', params={'after': first['next']})
    assert [f['severity'] for f in first['items'] + rest['items']] == ['high'] * 5 + ['low'] * 5 and rest['next'] is None
    assert len(project.of('1', 'vulnerabilities', params={'severity': 'high'})['items']) == 5
    assert {f['package'] for f in project.of('1', 'vulnerabilities', params={'q': 'P2'})['items']} == {'p2'}
    project.of('1', 'vulnerabilities', 400, params={'severity': 'bad'})


@pytest.mark.parametrize('body, words', [
    ({}, 'this is no report'), ({'version': '2.0.0', 'runs': []}, '2.1.0 is taken'),
    ({'bomFormat': 'CycloneDX', 'specVersion': '1.3', 'vulnerabilities': []}, '1.4 to 1.6'),
    ({'bomFormat': 'CycloneDX', 'specVersion': '1.5', 'components': []}, 'attach'),
    ({'version': '2.1.0', 'runs': [{'tool': {}}]}, 'runs[0]: results: there are none'), ({'scanner': {}, 'vulnerabilities': {}}, 'expected a list'),
    ({'version': '2.1.0', 'runs': [{'results': [{'message': {'text': 'x'}}]}]}, 'runs[0]: results[0]: a finding has no id')])
def test_what_is_no_report_is_refused(strata, body, words):
    p = Project(strata, 'supply-no-report')
    p.image()
    assert words in p.of('1', 'vulnerabilities', 400, method='PUT', json=body)['error']['message']


def test_images_with_findings_are_neither_pulled_nor_run(project):
    project.image()
    project.rules(block_severity='high')
    assert project.pull('1').status_code == 200
    project.rules(block_severity='high', block_unscanned=True)
    assert 'not scanned' in project.pull('1').text
    project.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    refused = project.pull('1')
    assert refused.status_code == 403 and 'CVE-2019-2 (critical) in zlib' in refused.text
    assert project.of('1', 'trust')['run_refused'] == project.of('1', 'trust')['pull_refused']
    project.rules(block_severity='high', allowed=['CVE-2019-2'])
    assert project.pull('1').status_code == 200
    project.rules(block_severity='medium', allowed=['CVE-2019-2'])
    assert 'CVE-2019-1' in project.pull('1').text
    index = project.index(project.of('1', 'trust')['digest'])
    assert 'CVE-2019-1' in project.pull(index).text


def test_rules_that_cannot_be_are_refused(project):
    for body in ({'require_signature': 'yes'}, {'block_severity': 'unknown'}, {'allowed': [1]}, {'allowed': ['x' * 65]}, {'typo': 1}):
        project.api('PUT', 'trust-policy', 400, json=body)
    assert project.api('GET', 'trust-policy') == {'require_signature': 'off', 'block_severity': None, 'block_unscanned': False, 'scan_on_push': False, 'allowed': []}


def test_all_of_it_survives_a_kill_and_goes_with_the_project(own_strata, keys):
    s = own_strata().start()
    p = Project(s, 'gone')
    digest = p.image()
    p.trust('k', keys())
    p.cosign(digest, keys())
    p.rules(require_signature='pull', block_severity='critical')
    p.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    before = p.of('1', 'trust')
    s.kill()
    s.start()
    assert p.of('1', 'trust') == before and 'CVE-2019-2' in before['pull_refused']
    assert s.api('DELETE', V1 + 'gone').status_code == 204
    p = Project(s, 'gone')
    p.image()
    assert p.api('GET', 'trust-keys')['items'] == [] and p.of('1', 'trust')['report'] is None
    assert p.api('GET', 'trust-policy')['block_severity'] is None


# --- scanners ---

class Scanner:
    """An adapter by the specification (pluggable image vulnerability scanning API 1.1): pulls what it is asked about, and is
    done at the second look."""

    def __init__(self, auth='Bearer opensesame'):
        self.auth, self.asked, self.fails, self.looks = auth, [], 0, {}
        self.hangs = None  # an event: no report before it is set
        scanner = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def answer(self, status, body=None, **headers):
                data = json.dumps(body).encode() if body is not None else b''
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name.replace('_', '-'), value)
                self.send_header('Content-Length', str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def do_POST(self):
                body = json.loads(self.rfile.read(int(self.headers['Content-Length'])))
                if scanner.auth and self.headers['Authorization'] != scanner.auth:
                    return self.answer(401)
                assert self.path == '/api/v1/scan' and self.headers['Content-Type'].startswith('application/vnd.scanner.adapter.scan.request+json')
                if scanner.fails:
                    scanner.fails -= 1
                    return self.answer(500)
                scanner.asked.append(body)
                self.answer(202, {'id': f'scan {len(scanner.asked)}'}, Content_Type='application/vnd.scanner.adapter.scan.response+json; version=1.0')

            def do_GET(self):
                if self.path == '/api/v1/metadata':
                    return self.answer(200, {'scanner': {'name': 'Test', 'vendor': 'us', 'version': '1.0'}, 'capabilities': []})
                n = int(self.path.split('%20')[1].split('/')[0])
                if scanner.hangs and n == 1:
                    scanner.waited = True
                    scanner.hangs.wait(60)
                if 'version=1.1' in self.headers['Accept']:
                    return self.answer(406)
                scanner.looks[n] = scanner.looks.get(n, 0) + 1
                if scanner.looks[n] == 1:
                    return self.answer(302, Refresh_After='1')
                self.answer(200, scanner.report(scanner.asked[n - 1]))

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Handler)
        self.server.daemon_threads = True
        self.url = f'http://127.0.0.1:{self.server.server_port}'
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={'poll_interval': 0.05}).start()

    def report(self, ask):
        registry, artifact = ask['registry'], ask['artifact']
        r = requests.get(f'{registry["url"]}/v2/{artifact["repository"]}/manifests/{artifact["digest"]}',
                         headers={'Authorization': registry['authorization']}, timeout=30)
        assert r.status_code == 200, r.text
        layer = r.json()['layers'][0]['digest']
        blob = requests.get(f'{registry["url"]}/v2/{artifact["repository"]}/blobs/{layer}',
                            headers={'Authorization': registry['authorization']}, timeout=30)
        assert sha(blob.content) == layer
        return {'generated_at': '2026-01-01T00:00:00Z', 'artifact': artifact, 'scanner': {'name': 'Test', 'vendor': 'us', 'version': '1.0'},
                'severity': 'High', 'vulnerabilities': [{'id': 'CVE-9', 'package': layer[:20], 'version': '1', 'fix_version': '2',
                                                         'severity': 'High', 'description': 'd', 'links': ['https://h/9']}]}

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def scanner(strata):
    made = Scanner()
    r = strata.api('POST', '/api/v1/scanners', json={'name': 'test', 'url': made.url, 'auth_header': made.auth})
    assert r.status_code == 201 and r.json()['has_auth_header'] and made.auth not in r.text, r.text
    yield made
    assert strata.api('DELETE', '/api/v1/scanners/test').status_code == 204
    made.close()


def ended(project, ref='1'):
    def done():
        trust = project.of(ref, 'trust')
        return trust if trust['scan'] and trust['scan']['ended_at'] else None
    return wait_for(done, 60, 'the scan has ended')


def test_a_scanner_pulls_and_its_report_is_kept(project, scanner, strata):
    assert strata.api('POST', '/api/v1/scanners/test/ping').json() == {'ok': True, 'scanner': 'Test', 'version': '1.0', 'error': None}
    digest = project.image()
    project.rules(require_signature='pull', block_unscanned=True)
    assert project.of('1', 'scan', 202, method='POST')['state'] == 'waiting'
    trust = ended(project)
    assert trust['scan']['state'] == 'succeeded' and trust['report']['high'] == 1 and trust['report']['tool'] == 'Test', trust
    assert scanner.asked[0]['artifact'] == {'repository': f'{project.name}/app', 'digest': digest, 'mime_type': OCI_MANIFEST}
    assert project.pull('1').status_code == 403
    other = project.registry.image(f'{project.name}/other', '1')[0]
    token = scanner.asked[0]['registry']['authorization']
    r = requests.get(f'{strata.url}/v2/{project.name}/other/manifests/{other}', headers={'Authorization': token}, timeout=30)
    assert r.status_code == 401
    assert requests.put(f'{strata.url}/v2/{project.name}/app/manifests/x', headers={'Authorization': token}, timeout=30).status_code == 401


def test_what_is_pushed_is_scanned_when_the_project_says_so(project, scanner, keys):
    project.rules(scan_on_push=True)
    digest = project.image()
    project.cosign(digest, keys())
    project.index(digest)
    assert ended(project)['report']['high'] == 1
    assert [a['artifact']['digest'] for a in scanner.asked] == [digest]
    # The index: each image that it lists, and not what describes one.
    assert project.of('many', 'scan', 202, method='POST')['state'] == 'waiting'
    assert ended(project, 'many')['scan']['state'] == 'succeeded' and len(scanner.asked) == 2
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': []}).encode()
    project.registry.manifest(f'{project.name}/app', 'none', body, OCI_INDEX)
    assert 'lists no image' in project.of('none', 'scan', 400, method='POST')['error']['message']


def test_a_scan_is_tried_again_and_gives_up(project, scanner):
    project.image()
    scanner.fails = 2
    project.of('1', 'scan', 202, method='POST')
    assert ended(project)['scan']['state'] == 'succeeded'
    scanner.report = lambda ask: {'no': 'report'}
    project.of('1', 'scan', 202, method='POST')
    trust = ended(project)
    assert trust['scan']['state'] == 'failed' and 'this is no report' in trust['scan']['error'] and trust['report']['high'] == 1


def test_webhooks_tell_how_a_scan_ended(project, scanner):
    h = project.api('POST', 'webhooks', 201, json={'name': 'w', 'url': 'http://127.0.0.1:9/x',
                                                   'events': ['SCANNING_COMPLETED', 'SCANNING_FAILED'], 'enabled': True})

    def told():
        items = project.api('GET', f'webhooks/{h["id"]}/deliveries')['items']
        return [json.loads(project.api('GET', f'webhooks/{h["id"]}/deliveries/{d["id"]}')['payload']) for d in reversed(items)]
    digest = project.image()
    project.of('1', 'scan', 202, method='POST')
    ended(project)
    scanner.report = lambda ask: {'no': 'report'}
    project.of('1', 'scan', 202, method='POST')
    ended(project)
    good, bad = told()
    assert (good['type'], bad['type'], good['operator']) == ('SCANNING_COMPLETED', 'SCANNING_FAILED', 'admin')
    [resource] = good['event_data']['resources']
    assert (resource['tag'], resource['digest']) == ('1', digest)
    [overview] = resource['scan_overview'].values()
    assert overview['scan_status'] == 'Success' and overview['severity'] == 'High' and overview['summary'] == {'total': 1, 'summary': {'High': 1}}
    [overview] = bad['event_data']['resources'][0]['scan_overview'].values()
    assert overview['scan_status'] == 'Error'


def test_a_scan_that_hangs_is_stopped(project, scanner, strata):
    h = project.api('POST', 'webhooks', 201, json={'name': 'w', 'url': 'http://127.0.0.1:9/x', 'events': ['SCANNING_STOPPED'], 'enabled': True})
    project.image()
    assert 'no scan of this image goes on' in project.of('1', 'scan/stop', 409, method='POST')['error']['message']
    scanner.hangs, scanner.waited = threading.Event(), False
    project.of('1', 'scan', 202, method='POST')
    wait_for(lambda: scanner.waited, 20, 'the scanner is asked for its report')
    stopped = project.of('1', 'scan/stop', 200, method='POST')
    assert stopped['state'] == 'stopped' and stopped['ended_at'] and stopped['error'] is None
    # Nobody waits for it any longer: the next one is scanned while the first still hangs.
    other = project.image('2')
    project.of('2', 'scan', 202, method='POST')
    assert ended(project, '2')['scan']['state'] == 'succeeded' and scanner.asked[-1]['artifact']['digest'] == other
    scanner.hangs.set()
    trust = project.of('1', 'trust')
    assert trust['scan'] == stopped and trust['report'] is None
    [told] = project.api('GET', f'webhooks/{h["id"]}/deliveries')['items']
    body = json.loads(project.api('GET', f'webhooks/{h["id"]}/deliveries/{told["id"]}')['payload'])
    [overview] = body['event_data']['resources'][0]['scan_overview'].values()
    assert (body['type'], body['operator'], overview['scan_status']) == ('SCANNING_STOPPED', 'admin', 'Stopped')
    # What waits its turn too; and of an index what it lists. It can be scanned again.
    scanner.fails = 5
    project.index(other)
    project.of('many', 'scan', 202, method='POST')
    r = strata.cli('image', 'scan', f'{project.name}/app:many', '--stop')
    assert r.returncode == 0 and 'stopped' in r.stdout, r.stderr
    assert project.of('many', 'trust')['scan']['state'] == 'stopped'
    scanner.fails = 0
    project.of('many', 'scan', 202, method='POST')
    assert ended(project, 'many')['scan']['state'] == 'succeeded'


def test_a_token_for_scanners_cannot_be_asked_for(project):
    project.image()
    project.rules(require_signature='pull')
    token = project.registry.token(f'repository:{project.name}/app:pull', f'scanner:{project.name}/app:pull')
    assert project.registry('GET', f'/v2/{project.name}/app/manifests/1', token=token).status_code == 403


def test_a_scan_goes_on_after_a_kill(own_strata):
    s, scanner = own_strata().start(), Scanner(auth=None)
    assert s.api('POST', '/api/v1/scanners', json={'name': 'test', 'url': scanner.url}).status_code == 201
    p = Project(s, 'scans')
    p.image()
    scanner.fails = 1
    p.of('1', 'scan', 202, method='POST')
    s.kill()
    s.start()
    assert ended(p)['scan']['state'] == 'succeeded'
    scanner.close()


def test_scanners_that_cannot_be_are_refused(strata, project):
    for body in ({'name': 'A', 'url': 'http://h'}, {'name': 'a', 'url': 'ftp://h'}, {'name': 'a', 'url': 'http://u:p@h'},
                 {'name': 'a', 'url': 'http://h', 'auth_header': 'a\nb'}):
        assert strata.api('POST', '/api/v1/scanners', json=body).status_code == 400
    project.image()
    assert 'there is no scanner' in project.of('1', 'scan', 404, method='POST')['error']['message']


def test_what_comes_back_has_its_report_again(project, strata):
    """Deleting an image and restoring it, or pushing it again, does not lose what was found in it."""
    def restore(item):
        r = strata.api('POST', f'/api/v1/trash/{item["id"]}/restore')
        assert r.status_code == 200, r.text

    def drop(path='repositories/app/tags/1'):
        assert strata.api('DELETE', f'{V1}{project.name}/{path}').status_code == 204
    digest = project.image()
    body = project.registry('GET', f'/v2/{project.name}/app/manifests/{digest}').content
    project.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    project.rules(block_severity='critical')
    drop()
    restore(project.api('GET', 'trash')['items'][0])
    assert 'CVE-2019-2' in project.pull('1').text and project.of('1', 'trust')['report']['critical'] == 1
    drop()
    project.registry.manifest(f'{project.name}/app', '1', body)
    assert 'CVE-2019-2' in project.pull('1').text
    assert [f['id'] for f in project.of('1', 'vulnerabilities')['items']] == ['CVE-2019-2', 'CVE-2019-1']
    # It is of the digest, whatever else in the project has it.
    for d in (json.loads(body)['layers'][0], json.loads(body)['config']):
        project.registry('POST', f'/v2/{project.name}/other/blobs/uploads/', params={'mount': d['digest'], 'from': f'{project.name}/app'})
    project.registry.manifest(f'{project.name}/other', '1', body)
    assert project.registry('GET', f'/v2/{project.name}/other/manifests/1').status_code == 403
    # And into another project of the same name.
    assert strata.api('DELETE', f'{V1}{project.name}').status_code == 204
    strata.project(project.name)
    for item in strata.api('GET', '/api/v1/trash', params={'q': project.name + ' app'}).json()['items'][:1]:
        restore(item)
    project.rules(block_severity='critical')
    assert 'CVE-2019-2' in project.pull('1').text


def test_what_comes_back_with_an_index_has_its_report_again(project, strata):
    """Also when it was deleted before the index was, and the project is another one of that name by now."""
    digest = project.image()
    project.of('1', 'vulnerabilities', method='PUT', json=SARIF)
    project.index(digest)
    assert project.registry('DELETE', f'/v2/{project.name}/app/manifests/{digest}').status_code == 202
    assert strata.api('DELETE', f'{V1}{project.name}/repositories/app/tags/many').status_code == 204
    index, part = project.api('GET', 'trash')['items']
    assert (index['tag'], part['digest']) == ('many', digest)
    assert strata.api('DELETE', f'{V1}{project.name}').status_code == 204
    strata.project(project.name)
    project.rules(block_severity='critical')
    assert strata.api('POST', f'/api/v1/trash/{index["id"]}/restore').json()['missing'] == 0
    assert 'CVE-2019-2' in project.pull(digest).text


def test_what_comes_back_is_scanned(project, scanner, strata):
    project.image()
    assert strata.api('DELETE', f'{V1}{project.name}/repositories/app/tags/1').status_code == 204
    project.rules(scan_on_push=True, block_unscanned=True)
    item = project.api('GET', 'trash')['items'][0]
    project.api('POST', f'trash/{item["id"]}/restore')
    assert 'not scanned' in project.pull('1').text or ended(project)
    assert ended(project)['report']['high'] == 1 and project.pull('1').status_code == 200


@pytest.mark.parametrize('way', ['replication', 'cache'])
def test_what_comes_from_another_registry_is_scanned(own_strata, scanner, strata, way):
    """Also where nobody who asked for it may pull: the rule of the project has it scanned."""
    there = Side(own_strata().start())
    there.strata.project('src')
    digest, _ = there.registry.image('src/app', '1')
    here, name = Side(strata), f'supply-from-{way}'
    here.knows(there, name)
    if way == 'cache':
        r = strata.api('POST', V1[:-1], json={'name': name, 'proxy': {'registry': name}})
        assert r.status_code == 201, r.text
    else:
        strata.project(name)
    p = Project(strata, name)
    p.rules(scan_on_push=True, block_unscanned=True)
    if way == 'cache':
        assert 'not scanned' in here.registry('GET', f'/v2/{name}/src/app/manifests/1').text
        repo = 'src/app'
    else:
        here.rule(name, 'pull', registry=name, repositories='src/app', destination=name)
        assert here.ended(here.start(name))['state'] == 'succeeded'
        repo = strata.api('GET', f'{V1}{name}/repositories').json()['items'][0]['name']

    def scanned():
        trust = p.of(digest, 'trust', repo=repo)
        return trust if trust['scan'] and trust['scan']['ended_at'] else None
    trust = wait_for(scanned, 60, 'the scan has ended')
    assert trust['scan']['state'] == 'succeeded' and trust['report']['high'] == 1, trust
    # What the scanner fetches is no pull.
    pulls = lambda: strata.api('GET', f'{V1}{name}/repositories').json()['items'][0]['pulls']  # noqa: E731
    assert pulls() == 0
    assert here.registry('GET', f'/v2/{name}/{repo}/manifests/1').status_code == 200
    assert pulls() == 1
    # Its token pulls from this repository, and nothing else.
    token = {'Authorization': scanner.asked[-1]['registry']['authorization']}
    for method, path in (('PUT', f'/v2/{name}/{repo}/manifests/2'), ('GET', '/v2/_catalog'), ('GET', f'/v2/{name}/x/tags/list'),
                         ('DELETE', f'/v2/{name}/{repo}/manifests/1'), ('GET', '/api/v1/projects')):
        assert requests.request(method, strata.url + path, headers=token, timeout=30).status_code == 401, path


@pytest.mark.parametrize('form', ['cosign', 'bundle', 'index'])
def test_a_cache_fetches_the_signatures_that_a_rule_asks_for(own_strata, strata, keys, form):
    there = Project(own_strata().start(), 'src')
    digest, other = there.image('1'), there.image('2')
    if form == 'index':
        digest = there.index(digest, tag='1')
        there.cosign(digest, keys())
    else:
        getattr(there, form)(digest, keys())
    here, name = Side(strata), f'supply-cached-{form}'
    here.knows(Side(there.strata), name)
    r = strata.api('POST', V1[:-1], json={'name': name, 'proxy': {'registry': name, 'ttl_seconds': 0}})
    assert r.status_code == 201, r.text
    p = Project(strata, name)
    p.trust('k', keys())
    p.rules(require_signature='pull_and_run')

    def pull(ref):
        return p.registry('GET', f'/v2/{name}/src/app/manifests/{ref}').status_code
    assert pull('1') == 200 and pull(digest) == 200
    assert pull('2') == pull(other) == 403
    if form == 'index':
        assert pull(there.registry('GET', f'/v2/src/app/manifests/{digest}').json()['manifests'][0]['digest']) == 200
    # One that is signed later counts when it is asked again; without the other registry what is here counts.
    there.bundle(other, keys())
    assert pull('2') == 200
    there.strata.stop()
    assert pull('1') == pull('2') == 200


# --- the command line ---

def test_the_command_line_says_the_same(project, keys, tmp_path):
    def cli(*args, **kwargs):
        return project.strata.cli(*args, check=True, **kwargs).stdout
    digest, name = project.image(), f'{project.name}/app:1'
    (tmp_path / 'k.pub').write_text(keys().pem)
    cli('key', 'add', 'release', str(tmp_path / 'k.pub'), '-p', project.name)
    cli('key', 'add', 'second', '-', '-p', project.name, input=keys(name='b').pem)
    assert 'release' in cli('key', 'list', '-p', project.name)
    def facts():
        return dict(line.split('  ', 1) for line in cli('trust', 'show', '-p', project.name).splitlines())
    assert {k: v.strip() for k, v in facts().items()} == {
        'only signed': 'no', 'refused from severity': 'none', 'refused without a report': 'no', 'scanned when pushed': 'no'}
    cli('trust', 'set', '--signed', 'pull', '--block', 'high', '--block-unscanned', 'yes', '-p', project.name)
    assert facts()['only signed'].strip() == 'to pull'
    cli('trust', 'set', '--allow', 'CVE-1', '-p', project.name)
    assert json.loads(cli('trust', 'show', '--json', '-p', project.name)) == {
        'require_signature': 'pull', 'block_severity': 'high', 'block_unscanned': True, 'scan_on_push': False, 'allowed': ['CVE-1']}
    assert 'It cannot be pulled' in cli('image', 'signatures', name)
    project.cosign(digest, keys())
    report = json.dumps(SARIF)
    assert '1 critical, 0 high, 1 medium' in cli('image', 'scan', name, '--report', '-', input=report)
    assert 'CVE-2019-1' not in cli('image', 'vulnerabilities', name, '--severity', 'high')
    assert 'CVE-2019-2' not in cli('image', 'vulnerabilities', f'{project.name}/app@{digest}', '--filter', 'musl')
    cli('trust', 'set', '--block', 'off', '--allow', '', '-p', project.name)
    assert 'Signed with release.' in cli('image', 'signatures', name)
    trust = json.loads(cli('image', 'signatures', name, '--json'))
    assert trust['pull_refused'] is None and trust['accessories'][0]['kind'] == 'cosign-signature'
    cli('key', 'delete', 'release', '--yes', '-p', project.name)
    assert json.loads(cli('image', 'signatures', name, '--json'))['signed_by'] is None


def test_scanners_on_the_command_line(project, strata):
    def cli(*args, **kwargs):
        return strata.cli(*args, check=True, **kwargs).stdout
    scanner = Scanner()
    cli('scanner', 'add', 'cli', '--url', scanner.url, '--auth-header-file', '-', input=scanner.auth)
    assert 'cli' in cli('scanner', 'list') and 'Test 1.0' in cli('scanner', 'ping', 'cli')
    project.image()
    assert '0 critical, 1 high' in cli('image', 'scan', f'{project.name}/app:1')
    cli('trust', 'set', '--scan-on-push', 'yes', '-p', project.name)
    assert project.api('GET', 'trust-policy')['scan_on_push']
    cli('scanner', 'delete', 'cli', '--yes')
    scanner.close()
