"""A team leaves its Harbor: strata image migrate, from a server that speaks Harbor's API, and from one that lies."""
import http.server
import json
import os
import pathlib
import signal
import stat
import subprocess
import tempfile
import threading

import pytest

from conftest import Strata, wait_for
from test_c20_registry import OCI_CONFIG, OCI_INDEX, OCI_LAYER, OCI_MANIFEST, sha
from test_c23_replication import Side, distribution, subject_of  # noqa: F401 - a fixture
from test_c29_harbor import Harbor

MIB = 1 << 20
RULE = {'action': 'immutable', 'template': 'immutable_template', 'priority': 0,
        'tag_selectors': [{'kind': 'doublestar', 'decoration': 'matches', 'pattern': 'v*'}],
        'scope_selectors': {'repository': [{'kind': 'doublestar', 'decoration': 'repoMatches', 'pattern': '**'}]}}


def retention(project):
    return {'algorithm': 'or', 'scope': {'level': 'project', 'ref': project},
            'rules': [{'action': 'retain', 'template': 'latestPushedK', 'params': {'latestPushedK': 9},
                       'tag_selectors': RULE['tag_selectors'], 'scope_selectors': RULE['scope_selectors']}],
            'trigger': {'kind': 'Schedule', 'settings': {'cron': '0 0 3 * * *'}}}


@pytest.fixture(scope='module')
def servers(scratch):
    made = []
    for name in ('old', 'new'):
        state = pathlib.Path(tempfile.mkdtemp(prefix=f'migrate-{name}-', dir=scratch)) / 'state'
        made.append(Side(Strata(state).start()))
    yield made
    for side in made:
        side.strata.stop()
        side.strata.check_log()


@pytest.fixture(scope='module')
def stock(servers):
    """All that a project of a Harbor may hold: name -> what the tests compare."""
    old, new = servers
    harbor = Harbor(old.strata)
    number = harbor.made('/projects', {'project_name': 'demo', 'metadata': {'public': 'true'}, 'storage_limit': 1 << 30})
    for side in (old, new):
        side.strata.user('ada')
    old.strata.user('gone')
    old.api('POST', '/api/v1/groups', json={'name': 'vision'})
    for member, role in ((('member_user', {'username': 'ada'}), 2), (('member_user', {'username': 'gone'}), 3),
                         (('member_group', {'group_name': 'vision'}), 3)):
        harbor.made(f'/projects/{number}/members', {'role_id': role, member[0]: member[1]})
    harbor('POST', '/robots', 201, json={'name': 'ci', 'level': 'project', 'duration': 30, 'permissions': [
        {'kind': 'project', 'namespace': 'demo', 'access': [{'resource': 'repository', 'action': 'pull'},
                                                            {'resource': 'repository', 'action': 'push'}]}]})
    harbor('POST', '/robots', 201, json={'name': 'mirror', 'level': 'system', 'duration': -1, 'permissions': [
        {'kind': 'project', 'namespace': '*', 'access': [{'resource': 'repository', 'action': 'pull'}]}]})
    harbor.made(f'/projects/{number}/immutabletagrules', RULE)
    harbor('POST', '/retentions', 201, json=retention(number))
    harbor.made(f'/projects/{number}/webhook/policies', {
        'name': 'tell', 'enabled': True, 'event_types': ['PUSH_ARTIFACT', 'DELETE_ARTIFACT'],
        'targets': [{'type': 'http', 'address': 'http://127.0.0.1:9/hook', 'auth_header': 'Bearer x'}]})
    hub = harbor.made('/registries', {'name': 'hub', 'url': 'http://127.0.0.1:9', 'type': 'docker-registry',
                                      'credential': {'type': 'basic', 'access_key': 'me', 'access_secret': 'secret'}})
    open_ = harbor.made('/registries', {'name': 'open', 'url': 'http://127.0.0.1:9', 'type': 'docker-registry'})
    for name, registry in (('nightly', hub), ('fetch', open_)):
        side = 'dest_registry' if name == 'nightly' else 'src_registry'
        harbor.made('/replication/policies', {
            'name': name, side: {'id': registry}, 'enabled': True, 'override': True,
            'trigger': {'type': 'scheduled', 'trigger_settings': {'cron': '0 0 3 * * *'}},
            'filters': [{'type': 'name', 'value': 'demo/**'}], 'dest_namespace': 'else'})

    # Two platforms, an untagged image, a signature of one, an artifact, two repositories that share a layer.
    layer = os.urandom(100_000)
    one, _ = old.registry.image('demo/team/app', 'v1', layer)
    two, _ = old.registry.image('demo/team/app', 'arm', layer, architecture='arm64')
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': 500, 'platform': {'os': 'linux', 'architecture': a}}
        for d, a in ((one, 'amd64'), (two, 'arm64'))]}).encode()
    old.registry.manifest('demo/team/app', 'multi', index, OCI_INDEX)
    signature = old.artifact('demo/team/app', None, subject_of(one))
    of_signature = old.artifact('demo/team/app', None, subject_of(signature))
    untagged = old.artifact('demo/team/app', None)
    old.registry.image('demo/other', 'latest', layer)
    return {'number': number, 'one': one, 'index': sha(index), 'signature': signature, 'of_signature': of_signature,
            'untagged': untagged}


def migrate(side, source, *args, check=True, auth=True, env=None, spool=None, password=None, **kwargs):
    """The report of a run, or the process when it is to fail."""
    spool = spool or side.strata.state.parent / 'spool'
    url = source if isinstance(source, str) else source.strata.url
    user = ('-u', 'admin') if auth else ()
    password = password or ('x' if isinstance(source, str) else source.strata.admin_password)
    r = side.strata.cli('image', 'migrate', '--from-harbor', url, *user, '--spool', str(spool), '--json', *args,
                        env={**(env or {}), 'STRATA_HARBOR_PASSWORD': password}, **kwargs)
    if check:
        assert r.returncode == 0, r.stdout + r.stderr
    return json.loads(r.stdout) if r.stdout else r


def rows(report, outcome, kind=None):
    return {i['name']: i.get('why', '') for i in report['items'] if i['outcome'] == outcome and (kind is None or i['kind'] == kind)}


def test_a_dry_run_says_what_would_come_and_changes_nothing(servers, stock):
    old, new = servers
    r = migrate(new, old, '--dry-run', '-p', 'demo')
    assert r['dry_run'] is True and r['counts']['failed'] == 0 and r['counts']['brought'] == 0
    assert rows(r, 'would bring', 'project') == {'demo': ''}
    assert {'demo/team/app:v1', 'demo/team/app:multi', 'demo/other:latest'} <= set(rows(r, 'would bring', 'tag'))
    assert {f'demo/team/app@{stock[d]}' for d in ('untagged', 'signature')} <= set(rows(r, 'would bring', 'image'))
    assert {'robot$demo+ci'} == set(rows(r, 'would bring', 'robot'))
    assert set(rows(r, 'would bring')) >= {'demo: v*', 'demo: tell', 'demo: ada'}
    assert new.api('GET', '/api/v1/projects/demo').status_code == 404
    assert new.api('GET', '/api/v1/groups/vision').status_code == 404


def test_a_migration_brings_all_of_it(servers, stock, scratch):
    old, new = servers
    secrets = pathlib.Path(scratch) / 'robots.txt'
    r = migrate(new, old, '--secrets', str(secrets))
    assert r['counts']['failed'] == 0 and r['secrets'] == []
    harbor = Harbor(new.strata)
    project = harbor('GET', '/projects/demo', shape='Project')
    assert project['metadata']['public'] == 'true'
    assert harbor('GET', '/projects/demo/summary').json()['quota']['hard']['storage'] == 1 << 30
    members = {(m['entity_name'], m['role_id']) for m in harbor('GET', '/projects/demo/members').json()}
    assert members >= {('ada', 2), ('vision', 3)} and 'gone' not in {m[0] for m in members}
    assert 'strata user create gone' in rows(r, 'skipped', 'member')['demo: gone']
    assert 'strata group add vision' in rows(r, 'to do', 'group')['vision']

    # Images, to the byte, with all that belongs to them.
    assert new.tags('demo/team/app') == ['arm', 'multi', 'v1'] and new.tags('demo/other') == ['latest']
    for tag in ('v1', 'arm', 'multi'):
        assert new.digest('demo/team/app', tag) == old.digest('demo/team/app', tag)
    assert new.digest('demo/team/app', stock['untagged'])
    assert new.referrers('demo/team/app', stock['one']) == [stock['signature']]
    assert new.referrers('demo/team/app', stock['signature']) == [stock['of_signature']]
    assert r['moved']['mounted'] >= 1, 'a layer of two repositories moves once'
    config = pathlib.Path(scratch) / 'skopeo-out'
    subprocess.run(['skopeo', 'copy', '--all', '--src-tls-verify=false', '--src-creds', f'admin:{new.strata.admin_password}',
                    f'docker://{new.strata.url.removeprefix("http://")}/demo/other:latest', f'oci:{config}:x'], check=True,
                   capture_output=True, timeout=120)

    # Robots sign in with what the file says, and nobody else may read that.
    assert stat.S_IMODE(secrets.stat().st_mode) == 0o600
    known = dict(line.split('\t') for line in secrets.read_text().splitlines())
    assert set(known) == {'robot$demo+ci', 'robot$mirror'} and all(known.values())
    for login, secret in known.items():
        assert new.api('GET', '/api/v1/me', token=secret).json()['name'] == login
    robot, = [x for x in harbor('GET', '/projects/demo/robots').json() if x['name'] == 'robot$demo+ci']
    assert robot['duration'] == 30 and {a['action'] for a in robot['permissions'][0]['access']} == {'pull', 'push'}

    # Rules.
    rule, = harbor('GET', '/projects/demo/immutabletagrules').json()
    assert rule['tag_selectors'][0]['pattern'] == 'v*'
    kept = harbor('GET', f'/retentions/{project["project_id"]}').json()
    assert kept['rules'][0]['params'] == {'latestPushedK': 9} and kept['trigger']['settings']['cron'] == '0 0 3 * * *'
    hook, = harbor('GET', '/projects/demo/webhook/policies').json()
    assert hook['targets'][0]['address'] == 'http://127.0.0.1:9/hook' and set(hook['event_types']) == {'PUSH_ARTIFACT', 'DELETE_ARTIFACT'}
    assert 'strata webhook set tell --auth-header-file' in rows(r, 'to do', 'webhook')['demo: tell']
    assert 'strata registry set hub --user me' in rows(r, 'to do', 'registry')['hub']
    policies = {p['name']: p for p in harbor('GET', '/replication/policies').json()}
    assert policies['nightly']['enabled'] is False and policies['nightly']['dest_registry']['name'] == 'hub'
    assert 'strata rule set nightly --enabled yes' in rows(r, 'to do', 'rule')['nightly']
    assert policies['fetch']['enabled'] is True and policies['fetch']['src_registry']['name'] == 'open'
    assert policies['fetch']['filters'][0]['value'] == 'demo/**'
    assert not list((new.strata.state.parent / 'spool').iterdir())


def test_a_second_run_brings_what_is_new_and_no_more(servers, stock, scratch):
    old, new = servers
    again = migrate(new, old, '--secrets', str(pathlib.Path(scratch) / 'robots.txt'))
    assert again['counts']['brought'] == 0 and again['counts']['failed'] == 0 and again['moved']['bytes'] == 0, again
    new.strata.user('gone')
    digest, _ = old.registry.image('demo/team/app', 'arm', os.urandom(50), architecture='arm64')  # moved there
    old.registry.image('demo/team/app', 'new', os.urandom(50))
    late = old.artifact('demo/team/app', None, subject_of(stock['one']))
    r = migrate(new, old)
    assert set(rows(r, 'brought', 'tag')) == {'demo/team/app:arm', 'demo/team/app:new'}
    assert set(rows(r, 'brought', 'member')) == {'demo: gone'}
    assert new.digest('demo/team/app', 'arm') == digest
    assert set(new.referrers('demo/team/app', stock['one'])) == {stock['signature'], late}


def test_what_was_pushed_here_since_stays(servers, stock):
    old, new = servers
    mine, _ = new.registry.image('demo/other', 'latest', os.urandom(50))
    r = migrate(new, old, '-p', 'demo')
    assert 'which the Harbor does not have' in rows(r, 'skipped', 'tag')['demo/other:latest']
    assert new.digest('demo/other', 'latest') == mine


def test_another_name_here(servers, stock):
    old, new = servers
    r = migrate(new, old, '-p', 'demo', '--map', 'demo=renamed', '--map', 'demo/other=renamed/else')
    assert r['counts']['failed'] == 0, rows(r, 'failed')
    assert new.digest('renamed/else', 'latest') == old.digest('demo/other', 'latest')
    assert new.digest('renamed/team/app', 'multi') == stock['index']
    assert [s['robot'] for s in r['secrets']] == ['robot$renamed+ci']
    robot, = Harbor(new.strata)('GET', '/projects/renamed/robots').json()
    assert robot['permissions'][0]['namespace'] == 'renamed'
    assert new.api('GET', '/api/v1/me', token=r['secrets'][0]['secret']).status_code == 200
    for wrong in ('demo', 'demo=', '=x', 'demo=a/b'):
        assert migrate(new, old, '--map', wrong, check=False).returncode == 65


def test_wrong_passwords_and_unknown_projects(servers):
    old, new = servers
    r = migrate(new, old, check=False, password='no such password')
    assert r.returncode == 77 and 'password is wrong' in r.stderr
    r = migrate(new, old, '-p', 'nowhere', check=False)
    assert 'none of this name' in rows(r, 'failed', 'project')['nowhere']
    for url in ('http://127.0.0.1:9', new.strata.url + '/console'):
        r = migrate(new, url, check=False)
        assert r.returncode != 0 and 'is this a Harbor?' in r.stderr


def test_a_robot_whose_secret_was_lost_in_a_kill_gets_another(servers, stock, scratch):
    """The file says that one was about to be made, and nothing came after it."""
    old, new = servers
    secrets = pathlib.Path(scratch) / 'cut.txt'
    secrets.write_text('robot$demo+ci\t\n')
    assert migrate(new, old, '-p', 'demo', '--secrets', str(secrets), check=False).returncode == 65, 'others may read it'
    secrets.chmod(0o600)
    r = migrate(new, old, '-p', 'demo', '--secrets', str(secrets))
    assert 'robot$demo+ci' in rows(r, 'brought', 'robot')
    login, secret = secrets.read_text().splitlines()[-1].split('\t')
    assert new.api('GET', '/api/v1/me', token=secret).json()['name'] == login == 'robot$demo+ci'
    assert rows(migrate(new, old, '-p', 'demo', '--secrets', str(secrets)), 'brought', 'robot') == {}


# --- a Harbor that lies, or is cut ---

class Liar:
    """A Harbor of dicts: `api` of path -> rows or answer, `v2` of path -> (type, bytes) or a function of the handler."""

    def __init__(self):
        self.api, self.v2, self.asked = {'/systeminfo': {'harbor_version': 'v2.11.0'}}, {}, []
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                liar.asked.append((self.path, self.headers.get('Authorization')))
                path, _, query = self.path.partition('?')
                if path.startswith('/api/v2.0'):
                    what = liar.api.get(path.removeprefix('/api/v2.0'), [])
                    if callable(what):
                        return what(self)
                    if isinstance(what, list) and 'page=1&' not in query:
                        what = []
                    return self.say(200, 'application/json', json.dumps(what).encode())
                if path == '/v2/':
                    return self.say(200, 'application/json', b'{}')
                what = liar.v2.get(path)
                if callable(what):
                    return what(self)
                if what is None:
                    return self.say(404, 'application/json', b'{}')
                return self.say(200, *what)

            do_HEAD = do_GET

            def say(self, status, kind, body, **headers):
                self.send_response(status)
                for name, value in {'Content-Type': kind, 'Content-Length': len(body), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                if self.command == 'GET':
                    self.wfile.write(body)

            def log_message(self, *args):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request, client_address):
                pass
        self.server = Server(('127.0.0.1', 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True, kwargs={'poll_interval': 0.05}).start()

    @property
    def url(self):
        return f'http://127.0.0.1:{self.server.server_address[1]}'

    def project(self, name, **more):
        self.api.setdefault('/projects', []).append({'name': name, 'project_id': len(self.asked) + 1, 'metadata': {'public': 'false'}, **more})

    def image(self, repository, layer, tag='v1', size=None, digest=None):
        """An image of one layer; what is told of the layer may be another thing than what comes."""
        project, rest = repository.split('/', 1)
        digest = digest or sha(layer)
        body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST,
                           'config': {'mediaType': OCI_CONFIG, 'digest': sha(b'{}'), 'size': 2},
                           'layers': [{'mediaType': OCI_LAYER, 'digest': digest, 'size': size or len(layer)}]}).encode()
        self.api.setdefault(f'/projects/{project}/repositories', []).append({'name': repository})
        artifacts = self.api.setdefault(f'/projects/{project}/repositories/{rest.replace("/", "%252F")}/artifacts', [])
        artifacts.append({'digest': sha(body), 'push_time': f'2026-01-0{len(artifacts) + 1}T00:00:00Z', 'tags': [{'name': tag}]})
        for reference in (tag, sha(body)):
            self.v2[f'/v2/{repository}/manifests/{reference}'] = (OCI_MANIFEST, body)
        self.v2[f'/v2/{repository}/blobs/{sha(b"{}")}'] = ('application/octet-stream', b'{}')
        self.v2[f'/v2/{repository}/blobs/{digest}'] = ('application/octet-stream', layer)
        return sha(body)


@pytest.fixture
def liar():
    one = Liar()
    yield one
    one.server.shutdown()


def lies(side, liar, *args):
    """A run against it that must fail; the report."""
    r = side.strata.cli('image', 'migrate', '--from-harbor', liar.url, '--spool', str(side.strata.state.parent / 'spool'), '--json', *args)
    assert r.returncode != 0 and r.stdout, r.stderr
    return json.loads(r.stdout), r.stderr


def test_names_that_are_not_legal_here_are_told_with_the_way_out(servers, liar):
    _, new = servers
    liar.project('Upper_Case')
    liar.project('names')
    liar.api['/projects/names/summary'] = lambda h: h.say(403, 'application/json', b'{}')
    liar.image('names/Bad..name', b'layer')
    liar.image('names/good', b'layer')
    liar.api['/projects/names/repositories'].append({'name': 'elsewhere/app'})
    report, _ = lies(new, liar)
    failed = rows(report, 'failed')
    assert '--map Upper_Case=NAME' in failed['Upper_Case']
    assert '--map names/Bad..name=names/NAME' in failed['names/Bad..name']
    assert 'none of the project names' in failed['elsewhere/app']
    assert 'its quota is not told' in rows(report, 'to do', 'project')['names']
    assert new.tags('names/good') == ['v1'], 'what is in order comes all the same'
    liar.api['/projects/names/repositories'].pop()
    r = migrate(new, liar.url, '--map', 'Upper_Case=lower', '--map', 'names/Bad..name=names/tidy', auth=False)
    assert new.tags('names/tidy') == ['v1'] and rows(r, 'brought', 'project') == {'lower': ''}


def test_a_private_project_is_not_laid_open(servers, liar):
    _, new = servers
    liar.project('closed')
    liar.image('closed/app', b'layer')
    new.strata.project('closed', public=True)
    report, _ = lies(new, liar)
    assert '--public no' in rows(report, 'failed', 'project')['closed'] and new.tags('closed/app') == []
    new.api('PATCH', '/api/v1/projects/closed', json={'public': False})
    migrate(new, liar.url, auth=False)
    assert new.tags('closed/app') == ['v1']


def test_one_tag_that_may_not_move_holds_up_no_other(servers, liar):
    _, new = servers
    liar.project('fixed')
    liar.image('fixed/app', b'one', 'v1')
    migrate(new, liar.url, auth=False)
    Harbor(new.strata).made(f'/projects/{Harbor(new.strata)("GET", "/projects/fixed").json()["project_id"]}/immutabletagrules', RULE)
    before = new.digest('fixed/app', 'v1')
    liar.image('fixed/app', b'two', 'v1')
    artifacts = liar.api['/projects/fixed/repositories/app/artifacts']
    artifacts[0]['tags'] = []
    artifacts[1]['tags'] = [{'name': 'v1'}, {'name': 'BAD TAG'}, {'name': 'other'}]
    report, _ = lies(new, liar)
    assert set(rows(report, 'failed', 'tag')) == {'fixed/app:v1', 'fixed/app:BAD TAG'} and new.digest('fixed/app', 'v1') == before
    assert new.digest('fixed/app', 'other') not in (None, before)


@pytest.mark.parametrize('what', ['other bytes', 'more bytes', 'fewer bytes'])
def test_a_blob_that_is_not_what_its_manifest_names(servers, liar, what):
    _, new = servers
    name = 'lie-' + what.split()[0]
    liar.project(name)
    layer = os.urandom(1000)
    liar.image(f'{name}/app', layer, **{'other bytes': {'digest': sha(b'x')}, 'more bytes': {'size': 500},
                                        'fewer bytes': {'size': 5000}}[what])
    liar.image(f'{name}/fine', os.urandom(10))
    report, _ = lies(new, liar)
    assert len(rows(report, 'failed', 'image')) == 1 and new.tags(f'{name}/app') == [] and new.tags(f'{name}/fine') == ['v1']
    assert not list((new.strata.state.parent / 'spool').iterdir())


def test_a_list_without_end(servers, liar):
    _, new = servers
    row = [{'name': f'endless-{i}', 'project_id': i, 'registry_id': 7} for i in range(100)]
    liar.api['/projects'] = lambda h: h.say(200, 'application/json', json.dumps(row).encode(), **{'X-Total-Count': 10**12})
    report, said = lies(new, liar)
    assert 'the same page' in said and report['counts']['skipped'] == 100
    for answer in (b'{"a":', b'{}', b'[' * 5000, b'7'):
        liar.api['/projects'] = lambda h, answer=answer: h.say(200, 'application/json', answer)
        _, said = lies(new, liar)
        assert 'answer to' in said


def test_nothing_leads_to_another_host(servers, liar):
    _, new = servers
    other = Liar()
    layer = os.urandom(500)
    liar.project('leads')
    liar.image('leads/app', layer)
    away = f'/v2/leads/app/blobs/{sha(layer)}'
    other.v2[away] = liar.v2[away]
    liar.v2[away] = lambda h: h.say(307, 'text/plain', b'', Location=other.url + away)
    report, _ = lies(new, liar)
    assert 'not followed' in next(iter(rows(report, 'failed', 'image').values())) and other.asked == []
    migrate(new, liar.url, '--follow-redirects')
    assert new.tags('leads/app') == ['v1']
    assert {a for p, a in other.asked} == {None}, 'who signs in there is told to nobody else'
    liar.api['/projects'] = lambda h: h.say(302, 'text/plain', b'', Location=other.url + '/api/v2.0/projects')
    _, said = lies(new, liar, '--follow-redirects')
    assert 'it leads to another address' in said and len(other.asked) == 1
    other.server.shutdown()


def test_what_cannot_be_here_is_left_out_and_told(servers, liar):
    _, new = servers
    new.strata.user('bob')
    liar.project('rest', metadata={'public': 'false', 'prevent_vul': 'true', 'retention_id': '4'})
    liar.project('cached', registry_id=3)
    here = '/projects/rest'
    liar.api[f'{here}/members'] = [{'entity_name': 'bob', 'entity_type': 'u', 'role_id': 4}, {'entity_name': 'ada', 'entity_type': 'u', 'role_id': 5},
                                   {'entity_name': '\x1b[31mred', 'entity_type': 'u', 'role_id': 1}]
    pull, scan = {'resource': 'repository', 'action': 'pull'}, {'resource': 'scan', 'action': 'create'}
    liar.api['/robots'] = [
        {'name': 'robot$rest+some', 'level': 'project', 'expires_at': -1, 'permissions': [{'kind': 'project', 'namespace': 'rest', 'access': [pull, scan]}]},
        {'name': 'robot$rest+none', 'level': 'project', 'expires_at': -1, 'permissions': [{'kind': 'project', 'namespace': 'rest', 'access': [scan]}]},
        {'name': 'robot$rest+x\nrobot$rest+ci\tmine', 'level': 'project', 'expires_at': -1, 'permissions': [{'kind': 'project', 'namespace': 'rest', 'access': [pull]}]},
        {'name': 'robot$other+alien', 'level': 'project', 'expires_at': -1, 'permissions': [{'kind': 'project', 'namespace': 'rest', 'access': [pull]}]},
        {'name': 'robot$rest+late', 'level': 'project', 'expires_at': 5, 'permissions': [{'kind': 'project', 'namespace': 'rest', 'access': [pull]}]}]
    liar.api[f'{here}/immutabletagrules'] = [{**RULE, 'disabled': True}]
    liar.api['/retentions/4'] = {**retention(1), 'rules': [{**retention(1)['rules'][0], 'template': 'someday'}]}
    liar.api[f'{here}/webhook/policies'] = [{'name': 'chat', 'enabled': True, 'event_types': ['PUSH_ARTIFACT'],
                                             'targets': [{'type': 'slack', 'address': 'http://127.0.0.1:9'}]}]
    liar.api['/registries'] = [{'name': 'amazon', 'type': 'aws-ecr', 'url': 'http://127.0.0.1:9', 'id': 1}]
    liar.api['/replication/policies'] = [{'name': 'to-amazon', 'src_registry': {'id': 0}, 'dest_registry': {'id': 1, 'name': 'amazon'}}]
    secrets = new.strata.state.parent / 'lied'
    r = migrate(new, liar.url, '-p', 'rest', '-p', 'cached', '--secrets', str(secrets), auth=False)
    skipped, todo = rows(r, 'skipped'), rows(r, 'to do')
    assert '--proxy' in skipped['cached'] and 'limited guest' in skipped['rest: ada'] and 'strata user create' in skipped['rest: \x1b[31mred']
    assert 'scan' in skipped['robot$rest+none'] and 'expired' in skipped['robot$rest+late'] and 'create scan' in todo['robot$rest+some']
    assert 'someday' in skipped['rest'] and 'http' in skipped['rest: chat'] and 'not in force' in skipped['rest: v*']
    assert 'strata trust set --block' in todo['rest'] and 'strata project grant bob maintainer' in todo['rest: bob']
    assert {line.split('\t')[0] for line in secrets.read_text().splitlines()} == {'robot$rest+some'}
    r = migrate(new, liar.url, '--dry-run', auth=False)
    assert rows(r, 'would bring', 'registry') and 'cached' in rows(r, 'skipped', 'project')
    text = new.strata.cli('image', 'migrate', '--from-harbor', liar.url, '--spool', str(new.strata.state.parent / 'spool'))
    assert '\x1b' not in text.stdout and 'Skipped:' in text.stdout and text.returncode == 0, text.stderr
    assert 'aws-ecr' in text.stdout and 'to-amazon' in text.stdout


def test_a_kill_in_the_middle_of_a_layer(servers, liar):
    """What came of it is kept: the next run asks for the rest."""
    _, new = servers
    layer, go, offsets = os.urandom(8 * MIB), threading.Event(), []
    liar.project('cut')
    liar.image('cut/small', os.urandom(100))
    liar.image('cut/app', layer)

    def serve(h):
        start = int(h.headers.get('Range', 'bytes=0-')[6:-1])
        if h.command == 'HEAD':
            return h.say(200, 'application/octet-stream', b'')
        offsets.append(start)
        h.send_response(206 if start else 200)
        h.send_header('Content-Length', str(len(layer) - start))
        h.end_headers()
        if len(offsets) == 1:
            h.wfile.write(layer[:len(layer) // 2])
            h.wfile.flush()
            return go.wait(60)
        return h.wfile.write(layer[start:])
    liar.v2[f'/v2/cut/app/blobs/{sha(layer)}'] = serve
    spool = new.strata.state.parent / 'spool-cut'
    command = [new.strata.binary, 'image', 'migrate', '--from-harbor', liar.url, '--spool', str(spool), '--server', new.strata.url,
               '--token', new.strata.token()]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    part = spool / f'{sha(layer)}.part'
    wait_for(lambda: part.exists() and part.stat().st_size > MIB, 60, 'half of it is here')
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).returncode == 73, 'one at a time'
    process.send_signal(signal.SIGKILL)
    process.wait()
    go.set()
    at = part.stat().st_size
    r = migrate(new, liar.url, auth=False, spool=spool)
    assert offsets == [0, at] and r['moved']['bytes'] == len(layer) - at + len('{}') and new.tags('cut/app') == ['v1']
    got = new.registry('GET', f'/v2/cut/app/blobs/{sha(layer)}').content
    assert sha(got) == sha(layer) and not list(spool.iterdir())
    assert migrate(new, liar.url, auth=False, spool=spool)['counts']['brought'] == 0


# --- one image, to and from elsewhere ---

def copy(side, *args, code=0, **env):
    r = side.strata.cli('image', 'cp', *map(str, args), '--spool', str(side.strata.state.parent / 'spool'), env=env)
    assert r.returncode == code, r.stdout + r.stderr
    return r.stderr


def test_copies_to_another_registry_and_back(servers, distribution):
    """Debian's docker-registry, open and with a password."""
    _, new = servers
    url, auth = distribution
    project = f'copies-{"p" if auth else "o"}'
    new.strata.project(project)
    one, _ = new.registry.image(f'{project}/app', 'v1')
    two, _ = new.registry.image(f'{project}/app', 'arm', architecture='arm64')
    index = json.dumps({'schemaVersion': 2, 'mediaType': OCI_INDEX, 'manifests': [
        {'mediaType': OCI_MANIFEST, 'digest': d, 'size': 500} for d in (one, two)]}).encode()
    new.registry.manifest(f'{project}/app', 'multi', index, OCI_INDEX)
    signature = new.artifact(f'{project}/app', None, subject_of(one))
    to, back = (('--to-user', auth[0]), ('--from-user', auth[0])) if auth else ((), ())
    passwords = {'STRATA_TO_PASSWORD': auth[1], 'STRATA_FROM_PASSWORD': auth[1]} if auth else {}
    copy(new, f'{project}/app:multi', f'{url}/{project}/there:1', *to, **passwords)
    copy(new, f'{url}/{project}/there:1', f'{project}/back:2', *back, **passwords)
    assert new.digest(f'{project}/back', '2') == sha(index) and new.digest(f'{project}/back', two) == two
    assert new.referrers(f'{project}/app', one) == [signature]
    copy(new, f'{url}/{project}/there@{one}', f'{project}/back:one', *back, **passwords)
    assert new.digest(f'{project}/back', 'one') == one
    copy(new, f'{url}/{project}/there:1', f'{url}/{project}/twin:1', *back, *to, **passwords)
    copy(new, f'{url}/{project}/twin:1', f'{project}/twin:1', *back, **passwords)
    assert new.digest(f'{project}/twin', '1') == sha(index)
    assert 'answers 404' in copy(new, f'{url}/{project}/there:none', f'{project}/x:1', *back, code=66, **passwords)
    if auth:
        assert 'a user and a password' in copy(new, f'{url}/{project}/there:1', f'{project}/x:1', code=77)
        assert '(may this user do it? is the project there?)' in copy(new, f'{url}/{project}/there:1', f'{project}/x:1', *back, code=77, STRATA_FROM_PASSWORD='no')


def test_signatures_come_along(servers):
    old, new = servers
    old.strata.project('signed')
    new.strata.project('signed')
    one, _ = old.registry.image('signed/app', 'v1')
    signature = old.artifact('signed/app', None, subject_of(one))
    copy(new, f'{old.strata.url}/signed/app:v1', 'signed/app:v1', '--from-user', 'admin', STRATA_FROM_PASSWORD=old.strata.admin_password)
    assert new.referrers('signed/app', one) == [signature]


def test_copies_from_and_to_files(servers, scratch):
    _, new = servers
    new.strata.project('files')
    one, _ = new.registry.image('files/app', 'v1')
    for kind, place in (('oci-archive', 'a.tar'), ('docker-archive', 'b.tar'), ('oci', 'c')):
        where = f'{kind}:{scratch}/{place}'
        copy(new, 'files/app:v1', where)
        copy(new, where, f'files/{kind}:1')
        assert new.digest(f'files/{kind}', '1') == one
    subprocess.run(['skopeo', 'inspect', f'oci-archive:{scratch}/a.tar'], check=True, capture_output=True, timeout=60)
    assert 'copy it here first' in copy(new, f'oci:{scratch}/c', f'oci:{scratch}/d', code=69)
    for wrong in ('docker://', 'docker://host', 'docker://host/', 'http:///x', 'docker://host/x:'):
        assert 'write docker://HOST/NAME:TAG' in copy(new, wrong, 'files/app:2', code=65)
