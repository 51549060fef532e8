"""Harbor's API v2.0: what belongs to an image: scans, reports, how it was built, signatures, copies."""
import pytest
import requests

from conftest import wait_for
from harbor import PASSWORD, V2, Harbor, fits, push
from test_c24_supply import Key, Project, Scanner

NEW = 'application/vnd.security.vulnerability.report; version=1.1'
OLD = 'application/vnd.scanner.adapter.vuln.report.harbor+json; version=1.0'
REPORT = {'scanner': {'name': 'Test'}, 'vulnerabilities': [
    {'id': 'CVE-1', 'package': 'zlib', 'version': '1', 'fix_version': '2', 'severity': 'Critical', 'description': 'bad', 'links': ['https://h/1']},
    {'id': 'CVE-2', 'package': 'bash', 'version': '5', 'severity': 'Low'}, {'id': 'CVE-3', 'package': 'bash', 'version': '5', 'severity': 'Low'}]}


@pytest.fixture(scope='module')
def harbor(strata):
    return Harbor(strata)


@pytest.fixture
def project(strata, request):
    return Project(strata, 'i-' + request.node.name[5:40].replace('_', '-').strip('-'))


@pytest.fixture
def registered(harbor):
    """A scanner, added as a client of Harbor adds it."""
    made = Scanner()
    kind, credential = made.auth.split()
    body = {'name': 'trivy', 'url': made.url, 'auth': kind, 'access_credential': credential, 'description': 'of a test'}
    harbor('POST', '/scanners/ping', json=body)
    harbor('POST', '/scanners', 201, json=body)
    made.uuid = harbor.headers['Location'].removeprefix(V2 + '/scanners/')
    yield made
    assert harbor('DELETE', f'/scanners/{made.uuid}', shape='ScannerRegistration')['name'] == 'trivy'
    harbor('GET', f'/scanners/{made.uuid}', 404)
    made.close()


def base(project, ref='1'):
    return f'/projects/{project.name}/repositories/app/artifacts/{ref}'.rstrip('/')


# --- reports ---

def test_a_report_is_told_as_harbor_tells_it(harbor, project):
    digest = project.image()
    assert harbor('GET', base(project) + '/additions/vulnerabilities').json() == {}
    assert 'scan_overview' not in harbor('GET', base(project) + '?with_scan_overview=true', shape='Artifact')
    project.of('1', 'vulnerabilities', method='PUT', json=REPORT)
    for header, told in ((None, OLD), (OLD, OLD), (f'{NEW}, {OLD}', NEW), (f'text/html,{OLD}', OLD)):
        r = harbor('GET', base(project) + '/additions/vulnerabilities', headers={'X-Accept-Vulnerabilities': header})
        report, = r.json().values()
        assert list(r.json()) == [told]
    fits(report, 'Report')
    assert (report['severity'], report['scanner']['name']) == ('Critical', 'Test')
    found = [fits(v, 'Vulnerability') for v in report['vulnerabilities']]
    assert [(v['id'], v['severity'], v['fix_version'], v['links']) for v in found][0] == ('CVE-1', 'Critical', '2', ['https://h/1'])
    assert harbor('GET', base(project) + '/additions/vulnerabilities', headers={'X-Accept-Vulnerabilities': 'text/html'}).json() == {}
    artifact = harbor('GET', base(project) + '?with_scan_overview=true', shape='Artifact', headers={'X-Accept-Vulnerabilities': NEW})
    overview = fits(artifact['scan_overview'][NEW], 'NativeReportSummary')
    assert (overview['scan_status'], overview['severity'], overview['complete_percent']) == ('Success', 'Critical', 100)
    assert fits(overview['summary'], 'VulnerabilitySummary') == {'total': 3, 'fixable': 1, 'summary': {'Critical': 1, 'Low': 2}}
    assert harbor('GET', base(project, '') + '?with_scan_overview=true', shape='[Artifact]')[0]['scan_overview'][OLD] == overview
    project.index(digest)
    merged = harbor('GET', base(project, 'many') + '/additions/vulnerabilities').json()[OLD]
    assert len(merged['vulnerabilities']) == 3 and merged['vulnerabilities'][0]['artifact_digests'] == [digest]


def test_a_scanner_is_registered_and_scans(harbor, project, registered, strata):
    project.image()
    row = harbor('GET', f'/scanners/{registered.uuid}', shape='ScannerRegistration')
    assert (row['name'], row['url'], row['is_default'], row['disabled']) == ('trivy', registered.url, True, False)
    assert row in harbor('GET', '/scanners?q=name%3Dtrivy', shape='[ScannerRegistration]')
    assert row in harbor('GET', f'/projects/{project.name}/scanner/candidates', shape='[ScannerRegistration]')
    assert harbor('GET', f'/projects/{project.name}/scanner', shape='ScannerRegistration') == row
    harbor('PUT', f'/projects/{project.name}/scanner', json={'uuid': registered.uuid})
    harbor('PUT', f'/projects/{project.name}/scanner', 404, json={'uuid': registered.uuid[:-1] + 'f'})
    harbor('PUT', f'/projects/{project.name}/scanner', 400, json={})
    meta = harbor('GET', f'/scanners/{registered.uuid}/metadata', shape='ScannerAdapterMetadata')
    assert meta['scanner'] == {'name': 'Test', 'vendor': 'us', 'version': '1.0'}
    harbor('PATCH', f'/scanners/{registered.uuid}', json={'is_default': True})
    harbor('PATCH', f'/scanners/{registered.uuid}', 400, json={'is_default': False})
    harbor('POST', '/scanners', 201, json={'name': 'second', 'url': 'http://127.0.0.1:9', 'auth': 'Basic', 'access_credential': 'a:b'})
    second = harbor.headers['Location'].removeprefix(V2)
    harbor('PATCH', second, 400, json={'is_default': True})
    harbor('GET', second + '/metadata', 400)
    # Another name and address; what it signs in with goes to no other server.
    row = harbor('GET', second, shape='ScannerRegistration')
    harbor('PUT', second, json={**row, 'name': 'third', 'url': 'http://127.0.0.1:9/adapter'})
    assert harbor('GET', second, shape='ScannerRegistration') == {**row, 'name': 'third', 'url': 'http://127.0.0.1:9/adapter'}
    ours = {s['name']: s['has_auth_header'] for s in strata.api('GET', '/api/v1/scanners').json()['items']}
    assert ours == {'trivy': True, 'third': True}
    harbor('PUT', second, 400, json={**row, 'url': 'http://127.0.0.1:10'})
    harbor('PUT', second, 409, json={**row, 'name': 'trivy'})
    harbor('PUT', second, 400, json={'name': 'third'})
    harbor('PUT', '/scanners/none', 404, json=row)
    harbor('PUT', second, json={**row, 'auth': 'Bearer', 'access_credential': 'x', 'url': 'http://127.0.0.1:10'})
    harbor('PUT', second, json={**row, 'auth': None, 'url': 'http://127.0.0.1:11'})
    assert not {s['name']: s['has_auth_header'] for s in strata.api('GET', '/api/v1/scanners').json()['items']}['second']
    harbor('DELETE', second, shape='ScannerRegistration')
    harbor('POST', '/scanners', 409, json={'name': 'trivy', 'url': registered.url})
    for wrong in ({'name': 'x'}, {'name': 'x', 'url': 'ftp://x'}, {'name': 'x', 'url': 'http://h', 'auth': 'Digest'},
                  {'name': 'x', 'url': 'http://h', 'disabled': True}, {'name': 'x', 'url': 'http://h', 'skip_certVerify': True}):
        harbor('POST', '/scanners', 400, json=wrong)
    harbor('POST', '/scanners/ping', 400, json={'name': 'x', 'url': 'http://127.0.0.1:9'})
    harbor('GET', '/scanners/none', 404)

    harbor('POST', base(project) + '/scan', 202)

    def overview():
        found = harbor('GET', base(project) + '?with_scan_overview=true', shape='Artifact')['scan_overview'][OLD]
        return found if found['scan_status'] == 'Success' else None
    done = fits(wait_for(overview, 60, 'the scan has ended'), 'NativeReportSummary')
    assert done['severity'] == 'High' and done['scanner']['name'] == 'Test' and done['summary']['fixable'] == 1
    assert 'succeeded' in harbor('GET', base(project) + f'/scan/{done["report_id"]}/log').text
    harbor('GET', base(project) + '/scan/999999/log', 404)
    # One that hangs is stopped; one that has ended stays as it is, and what was never begun cannot be.
    project.image('2')
    harbor('POST', base(project, '2') + '/scan/stop', 400, json={'scan_type': 'vulnerability'})
    registered.fails = 5
    harbor('POST', base(project, '2') + '/scan', 202)
    harbor('POST', base(project, '2') + '/scan/stop', 202, json={'scan_type': 'vulnerability'})
    status = lambda ref: harbor('GET', base(project, ref) + '?with_scan_overview=true', shape='Artifact')['scan_overview'][OLD]['scan_status']
    assert status('2') == 'Stopped'
    registered.fails = 0
    harbor('POST', base(project) + '/scan/stop', 202)
    assert status('1') == 'Success'
    strata.user('i-reader', project.name, 'guest')
    harbor('POST', base(project) + '/scan', 403, auth=('i-reader', PASSWORD))
    harbor('POST', base(project) + '/scan/stop', 403, auth=('i-reader', PASSWORD))
    harbor('GET', base(project) + '/additions/vulnerabilities', auth=('i-reader', PASSWORD))
    harbor('GET', '/scanners', 403, auth=('i-reader', PASSWORD))
    harbor('GET', f'/projects/{project.name}/scanner', 403, auth=('i-reader', PASSWORD))


def test_the_images_of_an_index_are_scanned(harbor, project, registered):
    digest = project.image()
    project.index(digest)
    harbor('POST', base(project, 'many') + '/scan', 202)
    assert wait_for(lambda: [a['artifact']['digest'] for a in registered.asked], 30) == [digest]


def test_without_a_scanner_nothing_is_scanned(harbor, project):
    project.image()
    harbor('POST', base(project) + '/scan', 404)
    harbor('GET', f'/projects/{project.name}/scanner', 404)


# --- how it was built ---

def test_additions(harbor, strata):
    harbor.made('/projects', {'project_name': 'i-built'})
    digest = push(strata, 'i-built/team/app', 'v1')
    artifact = harbor('GET', '/projects/i-built/repositories/team%252Fapp/artifacts/v1', shape='Artifact')
    links = {k: fits(v, 'AdditionLink') for k, v in artifact['addition_links'].items()}
    assert set(links) == {'build_history', 'vulnerabilities'}
    for link in links.values():
        assert digest in link['href'] and link['absolute'] is False
        r = requests.get(strata.url + link['href'], auth=harbor.auth, timeout=30)
        assert r.status_code == 200 and r.headers['Content-Type'].startswith('application/json'), link
    assert isinstance(harbor('GET', links['build_history']['href'].removeprefix(V2)).json(), list)
    for addition in ('readme.md', 'values.yaml', 'dependencies', 'nothing'):
        harbor('GET', f'/projects/i-built/repositories/team%252Fapp/artifacts/v1/additions/{addition}', 400)


# --- signatures ---

def test_signatures_are_accessories(harbor, project, tmp_path):
    digest = project.image()
    key = Key(tmp_path / 'key.pem')
    project.cosign(digest, key)
    project.bundle(digest, key)
    project.refer(digest, b'{}', 'application/vnd.cyclonedx+json')
    rows = harbor('GET', base(project) + '/accessories', shape='[Accessory]')
    assert sorted(r['type'] for r in rows) == ['signature.cosign', 'signature.cosign', 'subject.accessory']
    assert {r['subject_artifact_digest'] for r in rows} == {digest}
    assert len(harbor('GET', base(project) + '/accessories?page_size=2&page=2', shape='[Accessory]')) == 1
    listed = harbor('GET', base(project, '') + '?with_accessory=true', shape='[Artifact]')
    assert [a['digest'] for a in listed] == [digest], 'what belongs to an image is not listed beside it'
    assert [fits(a, 'Accessory') for a in listed[0]['accessories']] == rows
    assert 'tags' not in harbor('GET', base(project) + '?with_tag=false', shape='Artifact')
    assert [a['digest'] for a in harbor('GET', base(project, '') + '?q=tags%3D~1', shape='[Artifact]')] == [digest]
    assert harbor('GET', base(project, '') + '?q=tags%3D~9', shape='[Artifact]') == []


# --- copies ---

def test_an_artifact_is_copied_with_what_belongs_to_it(harbor, strata, project, tmp_path):
    digest = project.image()
    key = Key(tmp_path / 'key.pem')
    project.cosign(digest, key)
    project.bundle(digest, key)
    index = project.index(digest)
    harbor.made('/projects', {'project_name': 'i-copies'})
    path = '/projects/i-copies/repositories/deep%252Fapp/artifacts'
    harbor('POST', f'{path}?from={project.name}/app:many', 201)
    assert harbor.headers['Location'].endswith('/artifacts/many')
    copy = harbor('GET', path + '/many', shape='Artifact')
    assert copy['digest'] == index and [r['child_digest'] for r in copy['references']] == [digest]
    harbor('POST', f'{path}?from={project.name}/app@{digest}', 201)
    assert len(harbor('GET', f'{path}/{digest}/accessories', shape='[Accessory]')) == 2
    assert project.registry('GET', f'/v2/i-copies/deep/app/manifests/{digest.replace(":", "-")}.sig').status_code == 200
    layer = project.registry('GET', f'/v2/i-copies/deep/app/manifests/{digest}').json()['layers'][0]['digest']
    assert project.registry('GET', f'/v2/i-copies/deep/app/blobs/{layer}').status_code == 200
    harbor('POST', path, 400)
    for wrong, status in ((f'{project.name}/app:none', 404), ('i-none/app:1', 404), ('app', 400), (f'{project.name}/app@sha256:12', 400)):
        harbor('POST', f'{path}?from={wrong}', status)


def test_a_copy_obeys_both_projects(harbor, strata, project):
    project.image()
    source = f'{project.name}/app:1'
    harbor.made('/projects', {'project_name': 'i-mine'})
    strata.user('i-copier', 'i-mine', 'developer')
    copier = ('i-copier', PASSWORD)
    path = '/projects/i-mine/repositories/app/artifacts'
    harbor('POST', f'{path}?from={source}', 404, auth=copier)
    strata.api('PUT', f'/api/v1/projects/{project.name}/members/i-copier', json={'role': 'guest'})
    harbor('POST', f'{path}?from={source}', 201, auth=copier)
    harbor('POST', f'{base(project, "")}?from=i-mine/app:1', 403, auth=copier)
    project.rules(require_signature='pull')
    harbor('POST', f'{path}?from={source}', 403, auth=copier)
    project.rules()
    strata.api('PUT', '/api/v1/projects/i-mine/image-policy', json={'immutable': [{'repositories': '**', 'tags': '**'}]})
    project.artifact([(b'other', 'application/octet-stream', {})], '1')
    r = requests.post(f'{strata.url}{V2}{path}?from={source}', auth=copier, timeout=30)
    assert r.status_code in (403, 409, 412), r.text
    there = harbor.made('/registries', {'name': 'i-hub', 'url': 'http://127.0.0.1:9', 'type': 'docker-registry'})
    harbor.made('/projects', {'project_name': 'i-cache', 'registry_id': there})
    harbor('POST', f'/projects/i-cache/repositories/app/artifacts?from={source}', 405)


def test_a_copy_is_bounded(harbor, project):
    digest = project.image()
    project.index(*[digest] * 1001)
    harbor.made('/projects', {'project_name': 'i-bounded'})
    assert 'more than 1000' in harbor('POST', f'/projects/i-bounded/repositories/app/artifacts?from={project.name}/app:many', 400).text
