"""Every route x every role; tokens, sessions, throttling, audit, secrets."""
import json
import re
import subprocess
import threading

import pytest
import requests

from conftest import BUILD

ROLES = ('admin', 'maintainer', 'developer', 'guest', 'outsider', 'anonymous', 'robot', 'stray robot')
ROBOTS = {'robot', 'stray robot'}
# Which roles hold a permission: written down here again on purpose, as a second opinion on roles.c.
MAY = {
    'public': set(ROLES),
    'signed-in': set(ROLES) - {'anonymous'},
    'person': set(ROLES) - ROBOTS - {'anonymous'},
    'system:read': {'admin'}, 'system:manage': {'admin'}, 'user:manage': {'admin'}, 'audit:read': {'admin'},
    'project:read': {'admin', 'maintainer', 'developer', 'guest'},
    'member:read': {'admin', 'maintainer', 'developer', 'guest'},
    'project:manage': {'admin', 'maintainer'},
    'image:pull': {'admin', 'maintainer', 'developer', 'guest'},
    'image:push': {'admin', 'maintainer', 'developer'},
    'image:delete': {'admin', 'maintainer'},
    'job:read': {'admin', 'maintainer', 'developer', 'guest'},
    'job:submit': {'admin', 'maintainer', 'developer'},
    'job:cancel': {'admin', 'maintainer', 'developer'},
    'job:exec': {'admin', 'maintainer', 'developer'},
    'volume:read': {'admin', 'maintainer', 'developer', 'guest'},
    'volume:write': {'admin', 'maintainer', 'developer'},
    'volume:manage': {'admin', 'maintainer', 'developer'},
    'pipeline:read': {'admin', 'maintainer', 'developer', 'guest'},
    'pipeline:write': {'admin', 'maintainer', 'developer'},
    'pipeline:run': {'admin', 'maintainer', 'developer'},
    'metric:read': {'admin', 'maintainer', 'developer', 'guest'},
    'metric:write': {'admin', 'maintainer', 'developer'},
    'secret:read': {'admin', 'maintainer', 'developer'},
    'secret:write': {'admin', 'maintainer'},
}
# What the robot of the project is given; the stray one is given all that a robot can have, in another project.
GIVEN = ('member:read', 'image:pull', 'image:delete', 'job:read', 'job:cancel', 'volume:write', 'secret:read')
for permission in GIVEN:
    MAY[permission] = MAY[permission] | {'robot'}


def routes():
    out = subprocess.run([str(BUILD / 'strata'), 'debug', 'routes', '--json'], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


@pytest.fixture(scope='module')
def people(strata):
    strata.project('matrix')
    strata.project('elsewhere')
    for role in ('maintainer', 'developer', 'guest'):
        strata.user('m-' + role, 'matrix', role)
    strata.user('m-outsider', 'elsewhere', 'developer')
    everything = [p for p in MAY if ':' in p and not p.startswith(('system:', 'user:', 'audit:')) and p != 'project:manage']
    return {**{r: 'm-' + r for r in ('maintainer', 'developer', 'guest', 'outsider')}, 'admin': 'admin', 'anonymous': None,
            'robot': strata.robot('matrix', 'm-robot', GIVEN), 'stray robot': strata.robot('elsewhere', 'm-stray', everything)}


def concrete(pattern):
    """A path of project `matrix` where everything else does not exist: handlers that are reached change nothing."""
    values = {'p': 'matrix', 'repo...': 'matrix/none', 'repo': 'matrix/none', 'ref': 'none', 'tag': 'none', 'id': 'none',
              'u': 'no-such-user', 'v': 'no-such-volume', 's': 'no-such-secret', 'r': 'no-such-robot', 'g': 'no-such-group', 'path...': 'none', 'digest': 'sha256:' + '0' * 64}
    if '/api/v1/' in pattern:
        values['repo...'] = 'none'
    return re.sub(r'\{([^}]+)\}', lambda m: values.get(m.group(1), 'none'), pattern)


@pytest.mark.parametrize('role', ROLES)
def test_every_route_obeys_its_permission(strata, people, role):
    wrong = []
    for route in routes():
        if (route['method'], route['path']) in (('POST', '/api/v1/logout'), ('DELETE', '/api/v1/projects/{p}'), ('PATCH', '/api/v1/projects/{p}'),
                                                ('PUT', '/api/v1/me/password'), ('DELETE', '/api/v2.0/projects/{p}')):
            continue  # would change the stage; the refusal is tested below
        if route['path'] in ('/api/v1/events', '/v2/', '/v2/_catalog', '/service/token'):
            continue  # a stream without end, and challenges of their own: tested elsewhere
        r = strata.api(route['method'], concrete(route['path']), user=people[role], data=b'', timeout=30)
        may = all(role in MAY.get(route[k], set(ROLES)) for k in ('permission', 'also') if k in route)
        if route['permission'] == 'project:create':
            continue
        refused = r.status_code in (401, 403) or (r.status_code == 404 and not may)
        if may and r.status_code in (401, 403):
            wrong.append(f'{role} may {route["method"]} {route["path"]} ({route["permission"]}) but got {r.status_code}')
        if not may and not refused:
            wrong.append(f'{role} may not {route["method"]} {route["path"]} ({route["permission"]}) but got {r.status_code}')
        assert r.status_code < 500, f'{route}: {r.status_code} {r.text}'
    assert not wrong, '\n'.join(wrong)


@pytest.mark.parametrize('role', ('developer', 'guest', 'outsider', 'anonymous', 'robot', 'stray robot'))
def test_a_project_cannot_be_changed_from_below(strata, people, role):
    for method in ('DELETE', 'PATCH'):
        r = strata.api(method, '/api/v1/projects/matrix', user=people[role], json={'public': True} if method == 'PATCH' else None)
        assert r.status_code in (401, 403, 404)
    assert strata.api('DELETE', '/api/v2.0/projects/matrix', user=people[role]).status_code in (401, 403, 404)
    assert strata.api('GET', '/api/v1/projects/matrix').json()['public'] is False


def test_nobody_raises_himself(strata, people):
    for role in ('maintainer', 'developer'):
        assert strata.api('PATCH', '/api/v1/users/' + people[role], user=people[role], json={'is_admin': True}).status_code == 403
    r = strata.api('PUT', '/api/v1/projects/matrix/members/m-developer', user='m-developer', json={'role': 'maintainer'})
    assert r.status_code == 403


def test_a_public_project_is_pulled_but_not_changed_by_anybody(strata, people):
    strata.project('open', public=True)
    assert strata.api('GET', '/api/v1/projects/open', user=None).status_code == 200
    assert strata.api('POST', '/api/v1/projects/open/volumes', user=None, json={'name': 'x'}).status_code == 401
    assert strata.api('POST', '/api/v1/projects/open/volumes', user=people['outsider'], json={'name': 'x'}).status_code == 403


def test_the_members_of_a_public_project_are_not_for_everybody(strata, people):
    strata.project('open-house', public=True)
    strata.user('m-guest', 'open-house', 'guest')
    path = '/api/v1/projects/open-house/members'
    assert strata.api('GET', path, user=None).status_code == 401
    assert strata.api('GET', path, user='m-outsider').status_code == 403
    items = strata.api('GET', path, user='m-guest').json()['items']
    assert {'kind': 'user', 'user': 'm-guest', 'role': 'guest'} in items


def test_a_private_project_looks_like_none(strata, people):
    a = strata.api('GET', '/api/v1/projects/matrix', user=people['outsider'])
    b = strata.api('GET', '/api/v1/projects/does-not-exist', user=people['outsider'])
    assert a.status_code == b.status_code == 404
    assert 'matrix' not in strata.api('GET', '/api/v1/projects', user=people['outsider']).text


def test_a_revoked_token_stops_at_once(strata):
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'short'}).json()
    assert strata.api('GET', '/api/v1/me', token=made['token']).status_code == 200
    assert strata.api('DELETE', f'/api/v1/tokens/{made["id"]}').status_code == 204
    assert strata.api('GET', '/api/v1/me', token=made['token']).status_code == 401


def test_an_expired_token_is_refused(strata):
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'brief', 'expires_in_seconds': 1}).json()
    end = threading.Event()
    for _ in range(100):
        if strata.api('GET', '/api/v1/me', token=made['token']).status_code == 401:
            return
        end.wait(0.05)
    raise AssertionError('the token outlived its second')


def test_a_narrow_token_does_only_its_scope(strata):
    strata.project('demo')
    made = strata.api('POST', '/api/v1/tokens', json={'name': 'narrow', 'scopes': ['job:read']}).json()
    assert strata.api('GET', '/api/v1/projects/demo/jobs', token=made['token']).status_code == 200
    assert strata.api('GET', '/api/v1/projects/demo/volumes', token=made['token']).status_code == 403
    assert strata.api('POST', '/api/v1/tokens', token=made['token'], json={'name': 'wide'}).status_code in (201, 403)
    r = strata.api('POST', '/api/v1/tokens', token=made['token'], json={'name': 'wide'})
    if r.status_code == 201:  # a token may not give birth to a wider one
        assert strata.api('GET', '/api/v1/projects/demo/volumes', token=r.json()['token']).status_code == 403


def test_a_session_needs_its_csrf_token_for_changes(strata):
    s = requests.Session()
    r = s.post(strata.url + '/api/v1/login', json={'user': 'admin', 'password': strata.admin_password}, timeout=30)
    assert r.status_code == 200
    cookie = r.headers['Set-Cookie']
    assert 'HttpOnly' in cookie and 'SameSite=Strict' in cookie and 'Path=/' in cookie
    assert s.get(strata.url + '/api/v1/me', timeout=10).json()['name'] == 'admin'
    assert s.post(strata.url + '/api/v1/projects', json={'name': 'forged'}, timeout=10).status_code == 403
    ok = s.post(strata.url + '/api/v1/projects', json={'name': 'genuine'}, headers={'X-CSRF-Token': r.json()['csrf']}, timeout=10)
    assert ok.status_code in (201, 409), ok.text
    assert s.post(strata.url + '/api/v1/logout', headers={'X-CSRF-Token': r.json()['csrf']}, timeout=10).status_code == 204
    assert s.get(strata.url + '/api/v1/me', timeout=10).status_code == 401


def test_guessing_passwords_is_slowed_down_but_tokens_still_work(own_strata):
    s = own_strata().start()
    s.user('victim')
    codes = [requests.get(s.url + '/api/v1/me', auth=('victim', f'guess{i}'), timeout=30).status_code for i in range(30)]
    assert codes[0] == 401 and 429 in codes
    assert s.api('GET', '/api/v1/me', user='victim').status_code == 200


def test_every_change_is_in_the_audit_log(strata):
    strata.project('audited')
    strata.api('DELETE', '/api/v1/projects/audited')
    rows = strata.api('GET', '/api/v1/audit?limit=20').json()['items']
    assert any(r['method'] == 'DELETE' and r['path'] == '/api/v1/projects/audited' and r['user'] == 'admin' and r['status'] == 204 for r in rows)


def test_a_secret_reaches_the_job_and_nothing_else(strata):
    strata.project('demo')
    value = 'very-secret-value-4711'
    assert strata.api('PUT', '/api/v1/projects/demo/secrets/key', json={'value': value}).status_code == 204
    listing = strata.api('GET', '/api/v1/projects/demo/secrets').text
    assert 'key' in listing and value not in listing
    job = strata.run_job('demo', ['sh', '-c', 'echo length ${#API_KEY}; [ "$API_KEY" = ' + value[:4] + '"${API_KEY#????}" ] && echo same'], secrets={'API_KEY': 'key'})
    log = strata.job_log('demo', job['id'])
    assert f'length {len(value)}' in log and 'same' in log
    assert value not in json.dumps(job) and value not in strata.log()
    for path in strata.state.glob('state.db*'):
        assert value.encode() not in path.read_bytes()
    assert (strata.state / 'secrets.key').stat().st_mode & 0o777 == 0o600


def test_a_deleted_project_takes_its_things_along(strata):
    strata.volume('doomed', 'v')
    assert strata.api('PUT', '/api/v1/projects/doomed/volumes/v/files/a.txt', data=b'x').status_code == 201
    assert strata.api('DELETE', '/api/v1/projects/doomed').status_code == 204
    assert strata.api('GET', '/api/v1/projects/doomed').status_code == 404
    strata.project('doomed')
    assert strata.api('GET', '/api/v1/projects/doomed/volumes').json()['items'] == []


def test_a_disabled_user_is_out_at_once(strata):
    strata.user('leaver', 'demo', 'developer')
    assert strata.api('GET', '/api/v1/me', user='leaver').status_code == 200
    assert strata.api('PATCH', '/api/v1/users/leaver', json={'disabled': True}).status_code == 200
    assert strata.api('GET', '/api/v1/me', user='leaver').status_code == 401


def test_events_tell_only_what_one_may_see(strata):
    strata.user('watcher', 'elsewhere', 'guest')
    with strata.api('GET', '/api/v1/events', user='watcher', stream=True) as r:
        assert r.status_code == 200 and r.headers['Content-Type'].startswith('text/event-stream')
        strata.volume('matrix', 'hidden-volume')
        strata.api('DELETE', '/api/v1/projects/matrix/volumes/hidden-volume')
        strata.volume('elsewhere', 'seen-volume')
        strata.api('DELETE', '/api/v1/projects/elsewhere/volumes/seen-volume')
        text = ''
        for part in r.iter_content(None, decode_unicode=True):
            text += part
            if 'seen-volume' in text:
                break
    assert 'hidden-volume' not in text


class Stream:
    """The event stream of a user, read as it comes."""

    def __init__(self, strata, user):
        self.answer = strata.api('GET', '/api/v1/events', user=user, stream=True)
        self.lines = self.answer.iter_lines(decode_unicode=True, chunk_size=1)
        assert next(self.lines).startswith('retry:')

    def until(self, kind, **fields):
        """What came up to this event, as (kind, data)."""
        got, now = [], None
        for line in self.lines:
            if line.startswith('event: '):
                now = line[7:]
            elif line.startswith('data: '):
                got.append((now, json.loads(line[6:])))
                if now == kind and fields.items() <= got[-1][1].items():
                    return got
        raise AssertionError(f'the stream ended after {got}')

    def ends(self):
        return [line for line in self.lines if line.startswith('event: ')]


def test_each_hears_of_what_he_may_read_and_of_nothing_else(strata):
    strata.user('ear-guest', 'heard', 'guest')
    strata.user('ear-stranger', 'unheard', 'guest')
    guest, stranger, admin = (Stream(strata, u) for u in ('ear-guest', 'ear-stranger', 'admin'))
    strata.user('ear-newcomer')
    strata.api('PUT', '/api/v1/projects/heard/members/ear-newcomer', json={'role': 'guest'})
    strata.api('PUT', '/api/v1/projects/heard/secrets/KEY', json={'value': 'x'})
    made = strata.api('POST', '/api/v1/tokens', user='ear-guest', json={'name': 'more'}).json()
    heard = guest.until('token')  # rights are those of the moment it is told: nothing of before may wait
    strata.api('PUT', '/api/v1/projects/heard/members/ear-guest', json={'role': 'developer'})
    strata.api('PUT', '/api/v1/projects/heard/secrets/KEY', json={'value': 'y'})
    strata.api('DELETE', '/api/v1/users/ear-newcomer')
    strata.api('PUT', '/api/v1/projects/unheard/members/ear-stranger', json={'role': 'developer'})

    heard = [e for e in heard + guest.until('member', user='ear-newcomer', role=None) if e[0] != 'machine']
    assert heard == [('member', {'project': 'heard', 'user': 'ear-newcomer', 'role': 'guest'}),
                     ('token', {'id': made['id'], 'action': 'created'}),
                     ('member', {'project': 'heard', 'user': 'ear-guest', 'role': 'developer'}), ('me', {}),
                     ('secret', {'project': 'heard', 'name': 'KEY', 'action': 'set'}),
                     ('member', {'project': 'heard', 'user': 'ear-newcomer', 'role': None})]
    assert [e for e in stranger.until('me') if e[0] != 'machine'] == [
        ('member', {'project': 'unheard', 'user': 'ear-stranger', 'role': 'developer'}), ('me', {})]
    all_of_it = admin.until('member', user='ear-stranger')
    assert ('user', {'name': 'ear-newcomer', 'action': 'created'}) in all_of_it
    assert ('user', {'name': 'ear-newcomer', 'action': 'deleted'}) in all_of_it
    assert ('audit', {'user': 'admin', 'project': 'heard'}) in all_of_it
    assert 'token' not in {kind for kind, _ in all_of_it}, "a user's tokens are his own affair"


def test_a_stream_tells_nothing_more_when_rights_are_lost(strata):
    strata.user('ear-leaver', 'left', 'guest')
    strata.user('ear-banned', 'left', 'guest')
    leaver, banned = Stream(strata, 'ear-leaver'), Stream(strata, 'ear-banned')
    strata.api('DELETE', '/api/v1/projects/left/members/ear-leaver')
    strata.volume('left', 'after')
    strata.api('PATCH', '/api/v1/users/ear-banned', json={'disabled': True})
    strata.volume('left', 'much-later')
    assert 'much-later' not in str(banned.ends())
    strata.project('left-public', public=True)
    assert [e for e in leaver.until('project', project='left-public') if e[0] != 'machine'] == [
        ('me', {}), ('project', {'project': 'left-public', 'action': 'created'})]


def test_a_project_that_is_hidden_or_deleted_vanishes_for_all_who_saw_it(strata):
    strata.user('ear-member', 'vanishing', 'guest')
    strata.user('ear-visitor', 'elsewhere', 'guest')
    strata.api('PATCH', '/api/v1/projects/vanishing', json={'public': True})
    member, visitor = Stream(strata, 'ear-member'), Stream(strata, 'ear-visitor')
    strata.api('PATCH', '/api/v1/projects/vanishing', json={'public': False})
    assert visitor.until('project', project='vanishing')[-1][1]['action'] == 'changed'
    strata.api('DELETE', '/api/v1/projects/vanishing')
    member.until('me')
    strata.api('PATCH', '/api/v1/projects/elsewhere', json={'public': False})
    assert 'vanishing' not in str(visitor.until('project', project='elsewhere')), 'what is private is not told'


def test_the_audit_log_is_searched_by_text_and_time(strata):
    strata.project('sought')
    began = strata.api('GET', '/api/v1/audit?q=/projects&limit=1').json()['items'][0]['at']
    strata.api('DELETE', '/api/v1/projects/sought')
    rows = strata.api('GET', '/api/v1/audit?q=projects/SOUGHT&user=admin').json()['items']
    assert [r['method'] for r in rows] == ['DELETE'] and rows[0]['project'] == 'sought'
    assert strata.api('GET', f'/api/v1/audit?q={rows[0]["request_id"]}').json()['items'] == rows
    assert rows[0] in strata.api('GET', f'/api/v1/audit?since={began}').json()['items']
    assert rows[0] not in strata.api('GET', f'/api/v1/audit?until={began}').json()['items']
    assert strata.api('GET', '/api/v1/audit?since=yesterday').status_code == 400


def test_settings_are_shown_to_administrators_with_what_is_changed(own_strata):
    s = own_strata(args=['--set', 'net.trusted_proxies=10.0.0.0/8']).start()
    items = {i['key']: i for i in s.api('GET', '/api/v1/settings').json()['items']}
    assert items['net.trusted_proxies'] == {'key': 'net.trusted_proxies', 'value': '10.0.0.0/8', 'default': '', 'type': 'string',
                                            'help': items['net.trusted_proxies']['help'], 'changed': True}
    assert items['net.tls_cert']['changed'] is False and any('unit' in i for i in items.values())
    printed = subprocess.run([str(BUILD / 'strata'), 'config', '--state', '/nonexistent'], capture_output=True, text=True, check=True).stdout
    assert all(i['help'] in printed for i in items.values())
    s.user('curious')
    assert s.api('GET', '/api/v1/settings', user='curious').status_code == 403
