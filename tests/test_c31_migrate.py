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
        self.api, self.v2, self.asked, self.got = {'/systeminfo': {'harbor_version': 'v2.11.0'}}, {}, [], []
        liar = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = 'HTTP/1.1'

            def do_GET(self):
                liar.asked.append((self.path, self.headers.get('Authorization')))
                path, _, query = self.path.partition('?')
                if self.command == 'GET':
                    liar.got.append(path)
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
        repositories = self.api.setdefault(f'/projects/{project}/repositories', [])
        repositories += [] if {'name': repository} in repositories else [{'name': repository}]
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


def commands(report, *start):
    """What is to be typed in a sentence of the report: the words after `start` as a shell reads them."""
    found = []
    for row in report['items']:
        why = row.get('why', '')
        assert all(ord(c) >= 32 and not 127 <= ord(c) < 160 and not 0x202a <= ord(c) <= 0x202e for c in why), row
        if ' '.join(start) in why:
            words = subprocess.run(['bash', '-c', 'printf "%s\\0" ' + why[why.index(' '.join(start)):]], capture_output=True, timeout=20)
            assert words.returncode == 0 and not words.stderr, words.stderr
            found.append([w.decode() for w in words.stdout.split(b'\0')[len(start):-1]])
    return found


EVIL = ["a b; touch pwned", "it's", '$(touch pwned)', '`touch pwned`', '\x1b]0;owned\x07', 'x\ny', '\u009b31m', '\u202eabc', '\\x41\'', '--help']


@pytest.mark.parametrize('name', EVIL)
def test_names_of_a_stranger_are_one_word_of_the_commands_that_are_told(servers, liar, name, scratch):
    _, new = servers
    said = 'NAME' if name.startswith('-') else name
    project = f'evil-{EVIL.index(name)}'
    liar.project(project)
    liar.project(name)
    liar.image(f'{project}/good', b'layer')
    liar.api[f'/projects/{project}/repositories'].append({'name': f'{project}/{name}'})
    liar.api[f'/projects/{project}/members'] = [{'entity_name': name, 'entity_type': 'u', 'role_id': 1}]
    report, _ = lies(new, liar, '-p', project, '-p', name)
    user, = commands(report, 'strata', 'user', 'create')
    assert user[0] == said + ','
    told, = [w for w in commands(report, '--map') if '/' in w[0]]
    assert told[0] == f'{project}/{name}={project}/NAME'
    told, = [w for w in commands(report, '--map') if '/' not in w[0]]
    assert told[0] == f'{said}=NAME'
    text = new.strata.cli('image', 'migrate', '--from-harbor', liar.url, '--spool', str(new.strata.state.parent / 'spool'))
    assert not set(text.stdout + text.stderr) & set('\x1b\x07\x7f\u009b\u202e') and not pathlib.Path('pwned').exists()
    shown = new.strata.cli('image', 'migrate', '--from-harbor', liar.url, '--spool', str(new.strata.state.parent / 'spool'), '--json')
    assert not set(shown.stdout + shown.stderr) & set('\x1b\x07\x7f\u009b\u202e')


def test_what_never_comes_is_not_waited_for(servers, liar):
    """A repository that cannot be called so here, a layer that is not what its manifest says, a bad tag."""
    _, new = servers
    liar.project('waits', metadata={'public': 'false', 'retention_id': '4'})
    liar.image('waits/good', os.urandom(20))
    liar.image('waits/Bad..name', os.urandom(20))
    liar.image('waits/lie', os.urandom(20), digest=sha(b'x'))
    liar.api['/projects/waits/repositories/good/artifacts'][0]['tags'].append({'name': 'BAD TAG'})
    liar.api['/projects/waits/immutabletagrules'] = [RULE]
    liar.api['/retentions/4'] = retention(1)
    report, _ = lies(new, liar)
    assert report['counts']['failed'] == 3 and set(rows(report, 'brought')) >= {'waits', 'waits: v*'}
    assert {'waits/Bad..name', 'waits/good:BAD TAG'} <= set(rows(report, 'failed'))
    assert Harbor(new.strata)('GET', '/projects/waits/immutabletagrules').json()
    text = new.strata.cli('image', 'migrate', '--from-harbor', liar.url, '--spool', str(new.strata.state.parent / 'spool'))
    assert '--map waits/Bad..name=waits/NAME' in text.stdout[text.stdout.index('Failed:'):] and text.returncode == 1
    # One that may come yet is: the Harbor had no answer for it.
    liar.project('later')
    liar.image('later/app', b'layer')
    liar.v2[f'/v2/later/app/blobs/{sha(b"layer")}'] = lambda h: h.say(403, 'application/json', b'{}')
    liar.api['/projects/later/immutabletagrules'] = [RULE]
    report, _ = lies(new, liar, '-p', 'later')
    assert 'run it again' in rows(report, 'to do', 'policies')['later'] and not Harbor(new.strata)('GET', '/projects/later/immutabletagrules').json()


def test_a_second_run_asks_for_no_manifest(servers, liar):
    """Two lists say that it is the same; a GET there would count as a pull."""
    _, new = servers
    liar.project('twice')
    for i in range(3):
        liar.image('twice/app', os.urandom(20), f'v{i}')
    for row in liar.api['/projects/twice/repositories/app/artifacts']:
        row.update(manifest_media_type=OCI_MANIFEST, accessories=None)
    migrate(new, liar.url, auth=False)
    assert sum('/manifests/sha256:' in p for p in liar.got) == 3
    liar.got.clear()
    liar.asked.clear()
    r = migrate(new, liar.url, auth=False)
    assert r['counts']['brought'] == 0 and r['counts']['there'] == 7, r
    assert not [p for p, _ in liar.asked if '/manifests/' in p or '/blobs/' in p or '/referrers/' in p]
    liar.image('twice/app', os.urandom(20), 'v1')
    rows_ = liar.api['/projects/twice/repositories/app/artifacts']
    rows_[1]['tags'] = []
    r = migrate(new, liar.url, auth=False)
    assert set(rows(r, 'brought', 'tag')) == {'twice/app:v1'} and sum('/manifests/sha256:' in p for p in liar.got) == 1
    assert new.digest('twice/app', 'v1') == rows_[-1]['digest']


def test_tags_come_in_the_order_of_their_pushes(servers, liar):
    """Also from a Harbor that does not list tags itself."""
    _, new = servers
    liar.project('order')
    liar.image('order/app', os.urandom(20), 'c')
    row, = liar.api['/projects/order/repositories/app/artifacts']
    row['tags'] = [{'name': n, 'push_time': f'2026-01-0{i}T00:00:00Z'} for n, i in (('c', 3), ('a', 1), ('d', 4), ('b', 2))]
    r = migrate(new, liar.url, auth=False)
    assert [i['name'][-1] for i in r['items'] if i['kind'] == 'tag'] == ['a', 'b', 'c', 'd']


def test_labels_come_with_what_asks_for_them(servers, stock):
    old, new = servers
    there, here = Harbor(old.strata), Harbor(new.strata)
    project = here('GET', '/projects/demo').json()['project_id']
    labels = {name: there.made('/labels', {'name': name, 'color': '#112233', 'description': name + '!', **scope}) for name, scope in (
        ('stable', {'scope': 'g'}), ('tested', {'scope': 'p', 'project_id': stock['number']}), ('idle', {'scope': 'g'}))}
    path = f'/projects/demo/repositories/team%252Fapp/artifacts/{stock["one"]}'
    for name in ('stable', 'tested'):
        there('POST', path + '/labels', json={'id': labels[name]})
    target = there('GET', '/registries?q=name%3Dopen').json()[0]['id']
    there.made('/replication/policies', {'name': 'labelled', 'dest_registry': {'id': target}, 'enabled': True, 'override': True,
                                         'trigger': {'type': 'manual'}, 'filters': [{'type': 'label', 'decoration': 'matches', 'value': ['tested']}]})
    dry = migrate(new, old, '--dry-run')
    assert {'stable', 'idle', 'demo: tested', f'demo/team/app@{stock["one"]}: stable'} <= set(rows(dry, 'would bring', 'label'))
    r = migrate(new, old, '-p', 'demo')
    assert set(rows(r, 'brought', 'label')) == {'stable', 'demo: tested'} | {f'demo/team/app@{stock["one"]}: {n}' for n in ('stable', 'tested')}
    got = here('GET', path + '?with_label=true', shape='Artifact')['labels']
    assert {(x['name'], x['scope'], x['project_id'], x['color'], x['description']) for x in got} == {
        ('stable', 'g', 0, '#112233', 'stable!'), ('tested', 'p', project, '#112233', 'tested!')}
    r = migrate(new, old)
    assert set(rows(r, 'brought', 'label')) == {'idle'} and r['counts']['failed'] == 0
    rule, = here('GET', '/replication/policies?q=name%3Dlabelled', shape='[ReplicationPolicy]')
    assert rule['enabled'] is True and {'type': 'label', 'value': ['tested'], 'decoration': 'matches'}.items() <= rule['filters'][0].items()
    assert migrate(new, old)['counts']['brought'] == 0


def test_a_label_of_what_stands_in_no_list_here_is_put_once(servers, liar):
    """What names a subject is listed there, and here only with it."""
    _, new = servers
    liar.project('hidden')
    subject = liar.image('hidden/app', os.urandom(20))
    body = json.dumps({'schemaVersion': 2, 'mediaType': OCI_MANIFEST, 'config': {'mediaType': 'application/x', 'digest': sha(b'{}'), 'size': 2},
                       'layers': [], 'subject': {'mediaType': OCI_MANIFEST, 'digest': subject, 'size': 400}}).encode()
    liar.v2[f'/v2/hidden/app/manifests/{sha(body)}'] = (OCI_MANIFEST, body)
    liar.api['/projects/hidden/repositories/app/artifacts'].append(
        {'digest': sha(body), 'push_time': '2026-02-01T00:00:00Z', 'tags': None, 'manifest_media_type': OCI_MANIFEST, 'accessories': None,
         'labels': [{'name': 'listed', 'scope': 'p'}]})
    r = migrate(new, liar.url, auth=False)
    assert f'hidden/app@{sha(body)}: listed' in rows(r, 'brought', 'label')
    r = migrate(new, liar.url, auth=False)
    assert r['counts']['brought'] == r['counts']['failed'] == 0


def test_a_rule_for_a_label_that_is_not_here_is_off(servers, liar):
    _, new = servers
    liar.api['/registries'] = [{'name': 'plain', 'type': 'docker-registry', 'url': 'http://127.0.0.1:9', 'id': 1}]
    liar.api['/labels'] = [{'name': 'a,b', 'scope': 'g', 'id': 1}, {'name': 'fine', 'scope': 'g', 'id': 2, 'color': 'red'}]
    liar.api['/replication/policies'] = [
        {'name': f'by-{name}', 'src_registry': {'id': 0}, 'dest_registry': {'id': 1, 'name': 'plain'}, 'enabled': True, 'override': True,
         'trigger': {'type': 'manual'}, 'filters': [{'type': 'label', 'decoration': 'matches', 'value': [name]}]} for name in ('fine', 'lost')]
    r = migrate(new, liar.url, auth=False)
    assert 'a,b' in rows(r, 'skipped', 'label') and 'fine' in rows(r, 'brought', 'label')
    here = {p['name']: p['enabled'] for p in Harbor(new.strata)('GET', '/replication/policies').json()}
    assert here['by-fine'] is True and here['by-lost'] is False
    assert 'lost' in rows(r, 'to do', 'rule')['by-lost'] and 'strata rule set by-lost --enabled yes' in rows(r, 'to do', 'rule')['by-lost']


def test_who_might_only_look_may_not_pull(servers, liar):
    _, new = servers
    liar.project('looks')
    look = [{'resource': r, 'action': a} for r, a in (('repository', 'list'), ('artifact', 'read'), ('tag', 'list'))]
    push, pull = ({'resource': 'repository', 'action': a} for a in ('push', 'pull'))
    liar.api['/robots'] = [{'name': f'robot$looks+{name}', 'level': 'project', 'expires_at': -1,
                            'permissions': [{'kind': 'project', 'namespace': 'looks', 'access': access}]}
                           for name, access in (('only', look), ('pusher', [*look, push]), ('both', [*look, pull]))]
    r = migrate(new, liar.url, auth=False)
    assert 'list repository (without pull)' in rows(r, 'skipped', 'robot')['robot$looks+only']
    assert 'without pull' in rows(r, 'to do', 'robot')['robot$looks+pusher'] and 'robot$looks+both' not in rows(r, 'to do', 'robot')
    robots = {x['name']: [a['action'] for a in x['permissions'][0]['access']] for x in Harbor(new.strata)('GET', '/projects/looks/robots').json()}
    assert robots == {'robot$looks+pusher': ['push'], 'robot$looks+both': ['pull']}


def test_what_a_project_asks_of_its_images_comes_along(servers, liar):
    _, new = servers
    liar.project('strict', metadata={'public': 'false', 'prevent_vul': 'true', 'severity': 'high', 'auto_scan': 'true',
                                     'enable_content_trust_cosign': 'true', 'reuse_sys_cve_allowlist': 'false', 'auto_sbom_generation': 'true'},
                 cve_allowlist={'items': [{'cve_id': 'CVE-2024-1'}]})
    liar.project('lax', metadata={'public': 'true', 'prevent_vul': 'true', 'severity': 'dreadful', 'reuse_sys_cve_allowlist': 'true'},
                 cve_allowlist={'items': [{'cve_id': 'CVE-2024-1'}]})
    liar.project('before', metadata={'auto_scan': 'true'})
    liar.api['/system/CVEAllowlist'] = {'items': [{'cve_id': 'CVE-2024-7'}]}
    new.strata.project('before')
    liar.image('strict/app', os.urandom(20))
    r = migrate(new, liar.url, auth=False)
    harbor = Harbor(new.strata)
    strict, lax, before = (harbor('GET', f'/projects/{name}', shape='Project') for name in ('strict', 'lax', 'before'))
    assert {'prevent_vul': 'true', 'severity': 'high', 'auto_scan': 'true', 'enable_content_trust': 'true',
            'reuse_sys_cve_allowlist': 'false', 'public': 'false'}.items() <= strict['metadata'].items()
    assert [x['cve_id'] for x in strict['cve_allowlist']['items']] == ['CVE-2024-1']
    assert {'prevent_vul': 'true', 'severity': 'low', 'auto_scan': 'false', 'enable_content_trust': 'false', 'public': 'true'}.items() <= lax['metadata'].items()
    assert lax['metadata']['reuse_sys_cve_allowlist'] == 'true' and before['metadata']['auto_scan'] == 'false'
    assert [x['cve_id'] for x in lax['cve_allowlist']['items']] == ['CVE-2024-1'], 'kept, and not in force, as there'
    assert [x['cve_id'] for x in harbor('GET', '/system/CVEAllowlist').json()['items']] == ['CVE-2024-7']
    said = [i['why'] for i in r['items'] if i['outcome'] == 'to do' and i['name'] == 'strict']
    assert any('strata key add' in x for x in said) and any('strata scanner add' in x for x in said)
    assert 'strata trust set --scan-on-push yes -p before' in rows(r, 'to do', 'project')['before']
    assert new.tags('strict/app') == ['v1'], 'images that may not be pulled come all the same'
    assert migrate(new, liar.url, auth=False)['counts']['brought'] == 0


def test_the_report_has_a_limit(servers, liar):
    """Names as long as they are told, of 70,000 rules that are not in force."""
    _, new = servers
    liar.project('long')

    def rules(h):
        page = int(h.path.split('page=')[1].split('&')[0])
        what = [{**RULE, 'disabled': True, 'tag_selectors': [{'pattern': f'{page}-{i}-' + 'x' * 1100}]} for i in range(100 if page <= 700 else 0)]
        h.say(200, 'application/json', json.dumps(what).encode())
    liar.api['/projects/long/immutabletagrules'] = rules
    r = migrate(new, liar.url, auth=False)
    assert r['counts']['skipped'] == 70000 and 0 < r['left_out'] < 70000 and len(r['items']) + r['left_out'] == 70002


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
    assert 'strata scanner add' in todo['rest'] and 'strata project grant bob maintainer' in todo['rest: bob']
    assert r['left_out'] == 0
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
