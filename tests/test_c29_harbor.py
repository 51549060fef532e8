"""Harbor's API v2.0: what its clients use, in the shapes of its published description."""
import json
import sqlite3
import subprocess
import threading
import time

import pytest
import requests

from conftest import BUILD, free_port, wait_for
from harbor import PASSWORD, V2, Harbor, fits, operations, push, skopeo

# What a project without rules says of itself.
RULES = {'public': 'false', 'enable_content_trust': 'false', 'enable_content_trust_cosign': 'false', 'prevent_vul': 'false',
         'auto_scan': 'false', 'reuse_sys_cve_allowlist': 'true'}


@pytest.fixture(scope='module')
def harbor(strata):
    return Harbor(strata)


@pytest.fixture(scope='module')
def stocked(strata, harbor):
    """A project with an image of two tags in a repository whose name has a slash."""
    number = harbor.made('/projects', {'project_name': 'harbored', 'metadata': {'public': 'false', 'auto_scan': 'false'}})
    return number, push(strata, 'harbored/team/app', 'v1')


# --- what a client asks first ---

def test_it_says_what_it_is(harbor):
    assert harbor('GET', '/ping', auth=None).text == 'Pong'
    health = harbor('GET', '/health', shape='OverallHealthStatus', auth=None)
    assert health['status'] == 'healthy' and {'core', 'database', 'registry'} <= {c['name'] for c in health['components']}
    assert harbor('GET', '/systeminfo', shape='GeneralInfo', auth=None)['harbor_version'].startswith('v2.')
    assert 'registry_url' in harbor('GET', '/systeminfo', shape='GeneralInfo')
    counts = harbor('GET', '/statistics', shape='Statistic')
    assert counts['total_project_count'] == counts['private_project_count'] + counts['public_project_count'] >= 1


def test_errors_are_those_of_harbor(harbor):
    harbor('GET', '/projects/no-such-project', 404)
    harbor('GET', '/users', 401, auth=None)
    assert harbor.headers['WWW-Authenticate'].startswith('Basic')
    harbor('GET', '/users', 401, auth=('admin', 'wrong password'))
    harbor('POST', '/projects', 400, json={'metadata': {}})
    harbor('GET', '/projects?page=0', 400)
    harbor('GET', '/projects?page_size=101', 400)
    harbor('GET', '/projects?q=colour=red', 400)
    harbor('GET', '/users/ada', 404)


# --- projects ---

def test_a_project_lives_under_its_name_and_its_id(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'h-life', 'metadata': {'public': 'true'}, 'storage_limit': 1 << 30})
    harbor('POST', '/projects', 409, json={'project_name': 'h-life'})
    for path in (f'/projects/{number}', '/projects/h-life'):
        project = harbor('GET', path, shape='Project')
        assert (project['project_id'], project['name'], project['metadata']) == (number, 'h-life', {**RULES, 'public': 'true'})
    harbor('HEAD', '/projects?project_name=h-life')
    harbor('HEAD', '/projects?project_name=h-none', 404)
    harbor('GET', f'/projects/{number}', 404, headers={'X-Is-Resource-Name': 'true'})
    assert harbor('GET', f'/projects/{number}/summary', shape='ProjectSummary')['quota']['hard']['storage'] == 1 << 30
    harbor('PUT', f'/projects/{number}', json={'metadata': {'public': 'false'}})
    assert strata.api('GET', '/api/v1/projects/h-life').json()['public'] is False
    assert harbor('GET', f'/projects/{number}/metadatas', shape='ProjectMetadata') == RULES
    assert harbor('GET', f'/projects/{number}/metadatas/', shape='ProjectMetadata') == RULES
    harbor('PUT', f'/projects/{number}/metadatas/public', json={'public': 'true'})
    assert harbor('GET', f'/projects/{number}/metadatas/public', shape='ProjectMetadata') == {'public': 'true'}
    harbor('PUT', f'/projects/{number}/metadatas/public', 400, json={'prevent_vul': 'true'})
    harbor('GET', f'/projects/{number}/metadatas/severity', 404)
    harbor('PUT', f'/projects/{number}', 400, json={'metadata': {'auto_sbom_generation': 'true'}})
    harbor('POST', '/projects', 400, json={'project_name': 'h-proxy', 'registry_id': 4711})
    assert harbor('GET', f'/projects/{number}/_deletable', shape='ProjectDeletable')['deletable'] is True
    harbor('DELETE', f'/projects/{number}')
    harbor('GET', f'/projects/{number}', 404)
    rows = strata.api('GET', '/api/v1/audit', params={'project': 'h-life'}).json()['items']
    assert {r['method'] for r in rows} >= {'POST', 'PUT', 'DELETE'}


def test_a_name_in_the_location_when_asked_for(harbor):
    r = harbor('POST', '/projects', 201, json={'project_name': 'h-named'}, headers={'X-Resource-Name-In-Location': 'true'})
    assert r.headers['Location'] == V2 + '/projects/h-named'


def test_a_list_has_pages_a_total_and_links(harbor):
    for i in range(5):
        harbor.made('/projects', {'project_name': f'h-page-{i}'})
    seen, url = [], '/projects?q=name%3D~h-page-&page_size=2&sort=-name'
    while url:
        seen += [p['name'] for p in harbor('GET', url, shape='[Project]')]
        assert harbor.headers['X-Total-Count'] == '5'
        url = (requests.utils.parse_header_links(harbor.headers.get('Link', '')) or [{}])
        url = next((u['url'].removeprefix(V2) for u in url if u.get('rel') == 'next'), None)
    assert seen == [f'h-page-{i}' for i in (4, 3, 2, 1, 0)]
    assert [p['name'] for p in harbor('GET', '/projects?name=page-3', shape='[Project]')] == ['h-page-3']
    assert harbor('GET', '/projects?q=name%3Dh-page-3,public%3Dtrue', shape='[Project]') == []
    assert harbor('GET', '/projects?page=99', shape='[Project]') == [] and int(harbor.headers['X-Total-Count']) >= 5


def test_nobody_sees_more_than_by_our_own_api(harbor, strata, stocked):
    number, _ = stocked
    strata.user('h-stranger')
    stranger = ('h-stranger', PASSWORD)
    assert 'harbored' not in [p['name'] for p in harbor('GET', '/projects?page_size=100', shape='[Project]', auth=stranger)]
    for path in ('', '/summary', '/repositories', '/repositories/team%252Fapp/artifacts/v1'):
        assert 'harbored' not in harbor('GET', f'/projects/{number}{path}', 404, auth=stranger).text, 'an id tells no name'
    narrow = strata.api('POST', '/api/v1/tokens', user='h-stranger', json={'name': 'narrow', 'scopes': ['job:read']}).json()['token']
    for path in ('/projects', '/repositories', '/statistics'):
        harbor('GET', path, 403, auth=('h-stranger', narrow))
    harbor('HEAD', '/projects?project_name=harbored', 404, auth=stranger)
    assert all(not r['name'].startswith('harbored/') for r in harbor('GET', '/repositories?page_size=100', shape='[Repository]', auth=stranger))
    harbor('GET', '/projects/harbored/repositories', 401, auth=None)
    harbor('GET', '/quotas', 403, auth=stranger)
    harbor('GET', '/robots', 403, auth=stranger)


# --- repositories, artifacts, tags ---

def test_repositories_and_artifacts(harbor, stocked):
    number, digest = stocked
    repo, = harbor('GET', f'/projects/{number}/repositories', shape='[Repository]')
    assert repo['name'] == 'harbored/team/app' and repo['project_id'] == number and repo['artifact_count'] >= 1
    assert harbor('GET', '/repositories?q=name%3D~harbored', shape='[Repository]') == [repo]
    for spelt in ('team%252Fapp', 'team%2Fapp', 'team/app'):
        assert harbor('GET', f'/projects/harbored/repositories/{spelt}', shape='Repository') == repo
        artifact, = harbor('GET', f'/projects/harbored/repositories/{spelt}/artifacts', shape='[Artifact]')
    assert artifact['digest'] == digest and artifact['type'] == 'IMAGE' and artifact['size'] > 0
    assert [fits(t, 'Tag')['name'] for t in artifact['tags']] == ['v1']
    base = '/projects/harbored/repositories/team%252Fapp/artifacts'
    for ref in ('v1', digest):
        assert harbor('GET', f'{base}/{ref}', shape='Artifact')['id'] == artifact['id']
    harbor('GET', f'{base}/none', 404)
    assert harbor('GET', base + '?q=tags%3Dnil', shape='[Artifact]') == []
    assert harbor('GET', f'{base}/v1/accessories', shape='[Accessory]') == []


def test_tags_are_given_and_taken(harbor, strata, stocked):
    base = '/projects/harbored/repositories/team%252Fapp/artifacts'
    harbor('POST', f'{base}/{stocked[1]}/tags', 201, json={'name': 'v2'})
    assert [t['name'] for t in harbor('GET', f'{base}/v1/tags', shape='[Tag]')] == ['v1', 'v2']
    assert skopeo(strata, 'inspect', f'docker://127.0.0.1:{strata.port}/harbored/team/app:v2').returncode == 0
    harbor('POST', f'{base}/v1/tags', 400, json={'name': '-bad-'})
    harbor('DELETE', f'{base}/v1/tags/v2')
    harbor('DELETE', f'{base}/v1/tags/v2', 404)
    assert [t['name'] for t in harbor('GET', f'{base}/v1/tags?q=name%3D~v', shape='[Tag]')] == ['v1']
    r = strata.api('PUT', '/api/v1/projects/harbored/image-policy', json={'immutable': [{'repositories': '**', 'tags': 'v1'}]})
    assert r.status_code == 200, r.text
    assert harbor('GET', f'{base}/v1', shape='Artifact')['tags'][0]['immutable'] is True
    assert requests.delete(strata.url + V2 + f'{base}/v1/tags/v1', auth=harbor.auth, timeout=30).status_code in (403, 409, 412)
    strata.api('PUT', '/api/v1/projects/harbored/image-policy', json={'immutable': []})


def test_what_is_deleted_is_gone_for_every_client(harbor, strata, stocked):
    number = harbor.made('/projects', {'project_name': 'h-gone'})
    push(strata, 'h-gone/a', 'one')
    push(strata, 'h-gone/b', 'one')
    harbor('DELETE', f'/projects/{number}', 412)
    assert harbor('GET', f'/projects/{number}/_deletable', shape='ProjectDeletable')['deletable'] is False
    harbor('DELETE', '/projects/h-gone/repositories/a/artifacts/one')
    assert skopeo(strata, 'inspect', f'docker://127.0.0.1:{strata.port}/h-gone/a:one', check=False).returncode != 0
    harbor('DELETE', f'/projects/{number}/repositories/b')
    harbor('DELETE', f'/projects/{number}/repositories/b', 404)
    harbor('DELETE', f'/projects/{number}')


# --- users and quotas ---

def test_users_by_their_ids(harbor, strata):
    number = harbor.made('/users', {'username': 'h-ada', 'email': 'ada@example.org', 'realname': 'Ada', 'password': PASSWORD})
    assert harbor('GET', f'/users/{number}', shape='UserResp')['username'] == 'h-ada'
    assert [u['user_id'] for u in harbor('GET', '/users?q=username%3D~h-ad', shape='[UserResp]')] == [number]
    assert harbor('GET', '/users/current', shape='UserResp', auth=('h-ada', PASSWORD))['user_id'] == number
    mine = harbor('GET', f'/users/{number}', shape='UserResp', auth=('h-ada', PASSWORD))
    harbor('PUT', f'/users/{number}', json=mine, auth=('h-ada', PASSWORD))
    harbor('PUT', f'/users/{number}', json={'email': '', 'realname': None})
    for wrong in ({'email': 'ada@example.org'}, {'realname': 'Ada'}, {'comment': 'x'}, {'email': 7}):
        harbor('PUT', f'/users/{number}', 400, json=wrong)
    for method in ('GET', 'PUT'):
        harbor(method, '/users/1', 403, json={}, auth=('h-ada', PASSWORD))
        harbor(method, f'/users/{number}', 401, json={}, auth=None)
        harbor(method, '/users/99999', 404, json={})
    harbor('PUT', f'/users/{number}/sysadmin', json={'sysadmin_flag': True})
    assert harbor('GET', '/users/current', shape='UserResp', auth=('h-ada', PASSWORD))['sysadmin_flag'] is True
    harbor('PUT', f'/users/{number}/password', json={'new_password': PASSWORD + '2'})
    harbor('GET', '/users/current', 401, auth=('h-ada', PASSWORD))
    harbor('DELETE', f'/users/{number}')
    harbor('GET', f'/users/{number}', 404)


def test_quotas_have_the_ids_of_their_projects(harbor, strata, stocked):
    number, _ = stocked
    quota, = harbor('GET', f'/quotas?reference=project&reference_id={number}', shape='[Quota]')
    assert quota['ref'] == {'id': number, 'name': 'harbored'} and quota['hard'] == {'storage': -1} and quota['used']['storage'] > 0
    harbor('PUT', f'/quotas/{number}', json={'hard': {'storage': 1 << 40}})
    assert strata.api('GET', '/api/v1/projects/harbored/quota').json()['quota_bytes'] == 1 << 40
    harbor('PUT', f'/quotas/{number}', json={'hard': {'storage': -1}})
    assert harbor('GET', f'/quotas/{number}', shape='Quota')['hard']['storage'] == -1
    harbor('PUT', f'/quotas/{number}', 400, json={'hard': {'cpu': 1}})
    harbor('GET', '/quotas/999999', 404)


# --- robots ---

def robot_body(name, project, *pairs, level='project', **more):
    access = [{'resource': r, 'action': a} for r, a in pairs]
    return {'name': name, 'level': level, 'duration': 30, 'disable': False, 'description': 'of a script',
            'permissions': [{'kind': 'project', 'namespace': project, 'access': access}], **more}


def test_a_robot_of_a_project_pulls_and_no_more(harbor, strata, stocked):
    body = robot_body('ci', 'harbored', ('repository', 'pull'), ('artifact', 'read'))
    made = harbor('POST', '/robots', 201, shape='RobotCreated', json=body)
    assert made['name'] == 'robot$harbored+ci' and harbor.headers['Location'] == f'{V2}/robots/{made["id"]}'
    image = f'docker://127.0.0.1:{strata.port}/harbored/team/app'
    assert skopeo(strata, 'inspect', image + ':v1', creds=f'{made["name"]}:{made["secret"]}').returncode == 0
    assert skopeo(strata, 'delete', image + ':v1', creds=f'{made["name"]}:{made["secret"]}', check=False).returncode != 0
    of_robot = (made['name'], made['secret'])
    harbor('GET', '/projects/harbored/repositories', shape='[Repository]', auth=of_robot)
    harbor('POST', '/projects/harbored/repositories/team%252Fapp/artifacts/v1/tags', 403, json={'name': 'x'}, auth=of_robot)
    row = harbor('GET', f'/robots/{made["id"]}', shape='Robot')
    assert (row['level'], row['duration'], row['disable']) == ('project', 30, False)
    permission = fits(row['permissions'][0], 'RobotPermission')
    assert [fits(a, 'Access')['action'] for a in permission['access']] == ['pull'] and permission['namespace'] == 'harbored'
    assert [r['id'] for r in harbor('GET', f'/robots?q=Level%3Dproject,ProjectID%3D{stocked[0]}', shape='[Robot]')] == [made['id']]
    assert [r['id'] for r in harbor('GET', '/projects/harbored/robots', shape='[Robot]')] == [made['id']]
    fresh = harbor('PATCH', f'/robots/{made["id"]}', shape='RobotSec', json={'secret': ''})
    harbor('GET', '/projects/harbored/repositories', 401, auth=of_robot)
    of_robot = (made['name'], fresh['secret'])
    harbor('GET', '/projects/harbored/repositories', auth=of_robot)
    harbor('PUT', f'/robots/{made["id"]}', json={**body, 'disable': True, 'duration': -1})
    assert harbor('GET', f'/robots/{made["id"]}', shape='Robot')['expires_at'] == -1
    harbor('GET', '/projects/harbored/repositories', 401, auth=of_robot)
    harbor('DELETE', f'/robots/{made["id"]}')
    harbor('GET', f'/robots/{made["id"]}', 404)


def test_whoever_manages_a_project_manages_its_robots(harbor, strata, stocked):
    """As clients did when robots were made in their projects: resources with the project before them, an end in seconds."""
    strata.project('h-elsewhere')
    number, other = (harbor('GET', f'/projects/{name}', shape='Project')['project_id'] for name in ('harbored', 'h-elsewhere'))
    strata.user('h-keeper', 'harbored', 'maintainer')
    strata.user('h-maker', 'harbored', 'developer')
    keeper, maker = ('h-keeper', PASSWORD), ('h-maker', PASSWORD)
    body = {'name': 'old-ci', 'description': 'of a script', 'expires_at': int(time.time()) + 3600, 'access': [
        {'resource': f'/project/{number}/repository', 'action': 'pull'}, {'resource': f'/project/{number}/repository', 'action': 'push'}]}
    robots = f'/projects/{number}/robots'
    harbor('POST', robots, 403, json=body, auth=maker)
    made = harbor('POST', robots, 201, shape='RobotCreated', json=body, auth=keeper)
    where = f'/projects/{number}/robots/{made["id"]}'
    assert harbor.headers['Location'] == V2 + where and made['expires_at'] == body['expires_at'] and made['name'] == 'robot$harbored+old-ci'
    of_robot = (made['name'], made['secret'])
    image = f'docker://127.0.0.1:{strata.port}/harbored/team/app'
    assert skopeo(strata, 'inspect', image + ':v1', creds=':'.join(of_robot)).returncode == 0
    row = harbor('GET', where, shape='Robot', auth=keeper)
    assert (row['level'], row['expires_at'], row['permissions'][0]['namespace']) == ('project', body['expires_at'], 'harbored')
    assert made['id'] in [x['id'] for x in harbor('GET', '/projects/harbored/robots', shape='[Robot]', auth=keeper)]
    for method, more in (('GET', {}), ('PUT', {'json': {**row, 'disable': True}}), ('DELETE', {})):
        harbor(method, where, 403, auth=maker, **more)
        harbor(method, f'/projects/{other}/robots/{made["id"]}', 404, **more)
    harbor('PUT', where, json={**row, 'disable': True}, auth=keeper)
    changed = harbor('GET', where, shape='Robot', auth=keeper)
    assert changed['disable'] is True and changed['permissions'] == row['permissions'] and changed['expires_at'] == row['expires_at']
    harbor('GET', '/projects/harbored/repositories', 401, auth=of_robot)
    harbor('PUT', where, json={**row, 'disable': False}, auth=keeper)
    harbor('GET', '/projects/harbored/repositories', auth=of_robot)
    harbor('POST', robots, 409, json=body, auth=keeper)
    for wrong in ({'name': 'x', 'access': []}, {'name': 'x'}, {**body, 'name': 'x', 'expires_at': 12}, {**body, 'name': 'x', 'expires_at': 1 << 62},
                  {**body, 'name': 'x', 'access': [{'resource': '/project/', 'action': 'pull'}]},
                  {**body, 'name': 'x', 'access': [{'resource': f'/project/{number}/scan', 'action': 'create'}]}):
        harbor('POST', robots, 400, json=wrong, auth=keeper)
    harbor('DELETE', where, auth=keeper)
    harbor('GET', where, 404, auth=keeper)


def test_a_robot_of_the_system_and_what_is_refused(harbor):
    body = robot_body('h-all', '*', ('repository', 'pull'), ('repository', 'push'), level='system')
    made = harbor('POST', '/robots', 201, shape='RobotCreated', json=body)
    assert made['name'] == 'robot$h-all'
    assert made['id'] in [r['id'] for r in harbor('GET', '/robots?page_size=100', shape='[Robot]')]
    harbor('POST', '/robots', 409, json=body)
    harbor('POST', '/robots', 400, json=robot_body('x', 'harbored', ('scan', 'create')))
    harbor('POST', '/robots', 400, json={**body, 'name': 'y', 'level': 'project', 'permissions': []})
    harbor('POST', '/robots', 400, json={**body, 'name': 'z', 'duration': 0})
    harbor('PATCH', f'/robots/{made["id"]}', 400, json={'secret': 'Chosen12345'})
    harbor('DELETE', f'/robots/{made["id"]}')


def test_what_one_may(harbor, stocked):
    mine = harbor('GET', f'/users/current/permissions?scope=/project/{stocked[0]}').json()
    assert {'resource': 'repository', 'action': 'push'} in [fits(p, 'Permission') for p in mine]
    assert harbor('GET', '/users/current/permissions').json() == []


def test_a_script_with_curl(strata, stocked):
    """What people have in their pipelines."""
    out = subprocess.run(['curl', '-sf', '-u', f'admin:{strata.admin_password}',
                          f'{strata.url}{V2}/projects/harbored/repositories/team%252Fapp/artifacts?page=1&page_size=10&with_tag=true'],
                         capture_output=True, text=True, check=True, timeout=30)
    assert '"v1"' in out.stdout


def test_what_was_answered_survives_kill_9(own_strata):
    s = own_strata().start()
    h = Harbor(s)
    number = h.made('/projects', {'project_name': 'kept', 'storage_limit': 12345678})
    robot = h('POST', '/robots', 201, shape='RobotCreated', json=robot_body('ci', 'kept', ('repository', 'pull')))
    s.kill()
    s.start()
    assert h('GET', f'/quotas/{number}', shape='Quota')['hard']['storage'] == 12345678
    h('GET', '/projects/kept/repositories', shape='[Repository]', auth=(robot['name'], robot['secret']))


# --- members ---

def test_members_have_ids_and_roles(harbor, strata):
    strata.user('h-member')
    strata.user('h-other')
    strata.api('POST', '/api/v1/groups', json={'name': 'h-group'})
    number = harbor.made('/projects', {'project_name': 'h-members'})
    path = f'/projects/{number}/members'
    ada = harbor.made(path, {'role_id': 2, 'member_user': {'username': 'h-member'}})
    harbor('POST', path, 409, json={'role_id': 2, 'member_user': {'username': 'h-member'}})
    user_id = harbor('GET', '/users?q=username%3Dh-other', shape='[UserResp]')[0]['user_id']
    harbor.made(path, {'role_id': 3, 'member_user': {'user_id': user_id}})
    group = harbor.made(path, {'role_id': 1, 'member_group': {'group_name': 'h-group'}})
    rows = {m['entity_name']: m for m in harbor('GET', path, shape='[ProjectMemberEntity]')}
    assert (rows['h-member']['role_name'], rows['h-member']['role_id'], rows['h-member']['id']) == ('developer', 2, ada)
    assert (rows['h-other']['role_id'], rows['h-other']['entity_id'], rows['h-other']['entity_type']) == (3, user_id, 'u')
    assert (rows['h-group']['role_name'], rows['h-group']['entity_type'], rows['h-group']['id']) == ('projectAdmin', 'g', group)
    assert [m['entity_name'] for m in harbor('GET', path + '?entityname=h-mem', shape='[ProjectMemberEntity]')] == ['h-member']
    harbor('PUT', f'{path}/{ada}', json={'role_id': 1})
    assert harbor('GET', f'{path}/{ada}', shape='ProjectMemberEntity')['role_name'] == 'projectAdmin'
    for body in ({'role_id': 4}, {'role_id': 5}, {}):
        harbor('PUT', f'{path}/{ada}', 400, json=body)
    for body in ({'role_id': 2}, {'role_id': 2, 'member_user': {}}, {'role_id': 2, 'member_user': {'username': 'nobody-here'}}):
        harbor('POST', path, 400, json=body)
    harbor('PUT', f'{path}/{ada}', 403, json={'role_id': 1}, auth=('h-other', PASSWORD))
    harbor('DELETE', f'{path}/{ada}')
    harbor('GET', f'{path}/{ada}', 404)
    items = strata.api('GET', '/api/v1/projects/h-members/members').json()['items']
    assert {'kind': 'group', 'group': 'h-group', 'role': 'maintainer'} in items and 'h-member' not in str(items)


# --- rules for tags ---

def selectors(tags, repositories='**', not_tags=False, **extras):
    return {'tag_selectors': [{'kind': 'doublestar', 'decoration': 'excludes' if not_tags else 'matches', 'pattern': tags, **extras}],
            'scope_selectors': {'repository': [{'kind': 'doublestar', 'decoration': 'repoMatches', 'pattern': repositories}]}}


def test_immutable_rules_are_those_of_our_policy(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'h-immutable'})
    path = f'/projects/{number}/immutabletagrules'
    one = harbor.made(path, {'action': 'immutable', 'template': 'immutable_template', **selectors('v*')})
    two = harbor.made(path, selectors('latest', 'team/**', not_tags=True))
    rules = harbor('GET', path, shape='[ImmutableRule]')
    assert [r['id'] for r in rules] == [one, two] and rules[0]['tag_selectors'][0]['pattern'] == 'v*'
    for r in rules:
        fits(r['tag_selectors'][0], 'Selector')
    assert rules[1]['tag_selectors'][0]['decoration'] == 'excludes' and rules[1]['scope_selectors']['repository'][0]['pattern'] == 'team/**'
    ours = strata.api('GET', '/api/v1/projects/h-immutable/image-policy').json()['immutable']
    assert [(r['repositories'], r['tags']) for r in ours] == [('**', 'v*'), ('team/**', '!latest')]
    digest = push(strata, 'h-immutable/app', 'v1')
    tag, = harbor('GET', f'/projects/h-immutable/repositories/app/artifacts/{digest}/tags', shape='[Tag]')
    assert tag['immutable'] is True
    harbor('PUT', f'{path}/{one}', json={'id': one, **selectors('w*')})
    assert [r['id'] for r in harbor('GET', path, shape='[ImmutableRule]')] == [one, two]
    harbor('PUT', f'{path}/{one}', 400, json={'disabled': True, **selectors('w*')})
    harbor('PUT', f'{path}/999', 404, json=selectors('w*'))
    for body in ({}, selectors('!x'), selectors('['), {**selectors('a'), 'scope_selectors': {}}):
        harbor('POST', path, 400, json=body)
    harbor('DELETE', f'{path}/{two}')
    harbor('DELETE', f'{path}/{two}', 404)
    assert len(harbor('GET', path, shape='[ImmutableRule]')) == 1


def test_a_run_of_retention_is_stopped(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'h-stopped'})
    push(strata, 'h-stopped/app', 'keep')
    with sqlite3.connect(strata.state / 'state.db', timeout=30) as db:
        db.execute("""WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 59999)
                      INSERT INTO tags(repository_id, name, manifest_id, pushed_ms) SELECT t.repository_id, printf('v%05d', i), t.manifest_id,
                      t.pushed_ms FROM n, tags t JOIN repositories r ON r.id = t.repository_id WHERE r.name = 'h-stopped/app'""")
    db.close()
    rule = {'action': 'retain', 'template': 'always', 'params': {}, **selectors('keep', extras='{"untagged":true}')}
    policy = {'algorithm': 'or', 'rules': [rule], 'trigger': {'kind': 'Schedule', 'settings': {'cron': ''}}, 'scope': {'level': 'project', 'ref': number}}
    runs = f'/retentions/{harbor.made("/retentions", policy)}/executions'
    run = threading.Thread(target=Harbor(strata), args=('POST', runs, 201), kwargs={'json': {'dry_run': False}})
    run.start()
    row, = wait_for(lambda: harbor('GET', runs, shape='[RetentionExecution]'), 60, 'the run has begun')
    assert row['status'] == 'Running'
    one = f'{runs}/{row["id"]}'
    harbor('PATCH', one, json={'action': 'stop'})
    harbor('PATCH', one, 400, json={'action': 'start'})
    harbor('PATCH', f'{runs}/999999', 404, json={'action': 'stop'})
    run.join(60)
    row, = harbor('GET', runs, shape='[RetentionExecution]')
    assert row['status'] == 'Stopped' and row['end_time']
    ours = strata.api('GET', '/api/v1/projects/h-stopped/retention/runs').json()['items'][0]
    assert ours['error'].startswith('stopped') and ours['removed'] < 60000
    left = strata.api('GET', '/api/v1/projects/h-stopped/repositories').json()['items'][0]['tags']
    assert left == 60001 - ours['removed'] and left > 1
    harbor('PATCH', one, json={'action': 'stop'})  # nothing is left to stop
    harbor('POST', runs, 201, json={'dry_run': False})
    assert strata.api('GET', '/api/v1/projects/h-stopped/repositories').json()['items'][0]['tags'] == 1


def test_a_retention_is_made_run_and_told(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'h-retain'})
    for tag in ('v1', 'v2', 'keep'):
        push(strata, 'h-retain/app', tag)
    rule = {'action': 'retain', 'template': 'always', 'params': {}, **selectors('keep', extras='{"untagged":true}')}
    body = {'algorithm': 'or', 'rules': [rule], 'scope': {'level': 'project', 'ref': number},
            'trigger': {'kind': 'Schedule', 'settings': {'cron': '0 30 3 * * *'}, 'references': {}}}
    assert 'retention_id' not in harbor('GET', f'/projects/{number}', shape='Project')['metadata']
    harbor('GET', f'/retentions/{number}', 404)
    made = harbor.made('/retentions', body)
    harbor('POST', '/retentions', 400, json=body)
    assert made == int(fits(harbor('GET', f'/projects/{number}', shape='Project')['metadata'], 'ProjectMetadata')['retention_id'])
    told = harbor('GET', f'/retentions/{made}', shape='RetentionPolicy')
    assert told['trigger']['settings']['cron'] == '0 30 3 * * *' and told['scope'] == {'level': 'project', 'ref': number}
    fits(told['rules'][0], 'RetentionRule')
    assert fits(told['rules'][0]['tag_selectors'][0], 'Selector')['extras'] == '{"untagged":true}'
    harbor('PUT', f'/retentions/{made}', json={**told, 'rules': [{**rule, 'template': 'latestPushedK', 'params': {'latestPushedK': 2}}, rule]})
    assert [r['params'] for r in harbor('GET', f'/retentions/{made}', shape='RetentionPolicy')['rules']] == [{'latestPushedK': 2}, {}]
    for wrong in ({'rules': []}, {'rules': [{**rule, 'template': 'newest'}]}, {'rules': [{**rule, 'template': 'latestPushedK'}]},
                  {'rules': [{**rule, 'disabled': True}]}, {'rules': [rule], 'trigger': {'settings': {'cron': 'often'}}}):
        harbor('PUT', f'/retentions/{made}', 400, json=wrong)
    run = harbor.made(f'/retentions/{made}/executions', {'dry_run': True})
    assert len(harbor('GET', '/projects/h-retain/repositories/app/artifacts/keep/tags', shape='[Tag]')) == 3
    real = harbor.made(f'/retentions/{made}/executions', {'dry_run': False})
    runs = harbor('GET', f'/retentions/{made}/executions', shape='[RetentionExecution]')
    assert [(r['id'], r['dry_run'], r['status']) for r in runs] == [(real, False, 'Succeed'), (run, True, 'Succeed')]
    task, = harbor('GET', f'/retentions/{made}/executions/{real}/tasks', shape='[RetentionExecutionTask]')
    assert (task['repository'], task['total'], task['retained']) == ('app', 3, 1)
    log = harbor('GET', f'/retentions/{made}/executions/{real}/tasks/{task["id"]}').text
    assert 'RETAIN keep' in log and 'DELETE v1' in log
    harbor('GET', f'/retentions/{made}/executions/{real}/tasks/9', 404)
    assert [t['name'] for t in harbor('GET', '/projects/h-retain/repositories/app/artifacts/keep/tags', shape='[Tag]')] == ['keep']
    harbor('DELETE', f'/retentions/{made}')
    harbor('GET', f'/retentions/{made}', 404)
    strata.user('h-retainer')
    for user, status in (('h-retainer', 400),):
        harbor('POST', '/retentions', status, json=body, auth=(user, PASSWORD))


# --- webhooks ---

def test_webhooks_are_ours(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'h-hooks'})
    strata.user('h-hooker', 'h-hooks', 'maintainer')
    maintainer = ('h-hooker', PASSWORD)
    path = f'/projects/{number}/webhook'
    target = {'type': 'http', 'address': 'https://ci.example/hooks/1', 'auth_header': 'Bearer s3cret', 'payload_format': 'CloudEvents'}
    body = {'name': 'ci', 'enabled': True, 'event_types': ['PUSH_ARTIFACT', 'DELETE_ARTIFACT'], 'targets': [target]}
    events = harbor('GET', path + '/events', shape='SupportedWebhookEventTypes')
    assert {'PUSH_ARTIFACT', 'SCANNING_STOPPED'} <= set(events['event_type']) and events['notify_type'] == ['http']
    hook = harbor.made(path + '/policies', body)
    harbor('POST', path + '/policies', 409, json=body)
    told = harbor('GET', f'{path}/policies/{hook}', shape='WebhookPolicy', auth=maintainer)
    fits(told['targets'][0], 'WebhookTargetObject')
    assert 's3cret' not in str(told) and told['event_types'] == ['PUSH_ARTIFACT', 'DELETE_ARTIFACT'] and told['creator'] == 'admin'
    assert told['targets'][0]['payload_format'] == 'CloudEvents'
    harbor('PUT', f'{path}/policies/{hook}', json={**told, 'enabled': False}, auth=maintainer)
    ours = strata.api('GET', f'/api/v1/projects/h-hooks/webhooks/{hook}').json()
    assert ours['enabled'] is False and ours['has_auth_header'] is True
    sloppy = {**told, 'targets': [{**target, 'skip_cert_verify': True}]}
    harbor('PUT', f'{path}/policies/{hook}', 403, json=sloppy, auth=maintainer)
    harbor('POST', path + '/policies', 403, json={**body, 'name': 'sloppy', 'targets': sloppy['targets']}, auth=maintainer)
    sure = harbor.made(path + '/policies', {**body, 'name': 'sloppy', 'targets': sloppy['targets']})
    assert harbor('GET', f'{path}/policies/{sure}', shape='WebhookPolicy')['targets'][0]['skip_cert_verify'] is True
    assert [h['id'] for h in harbor('GET', path + '/policies', shape='[WebhookPolicy]')] == [hook, sure], 'a refused one is not made'
    moved = {**sloppy, 'name': 'sloppy', 'targets': [{**sloppy['targets'][0], 'address': 'https://else.example/'}]}
    harbor('PUT', f'{path}/policies/{sure}', json=moved, auth=maintainer)
    assert harbor('GET', f'{path}/policies/{sure}', shape='WebhookPolicy')['targets'][0]['skip_cert_verify'] is False, 'it was said of another server'
    harbor('PUT', f'{path}/policies/{sure}', json=moved)
    assert harbor('GET', f'{path}/policies/{sure}', shape='WebhookPolicy')['targets'][0]['skip_cert_verify'] is True
    harbor('DELETE', f'{path}/policies/{sure}')
    harbor('PUT', f'{path}/policies/{hook}', json=sloppy)
    assert harbor('GET', f'{path}/policies/{hook}', shape='WebhookPolicy')['targets'][0]['skip_cert_verify'] is True
    for wrong in ({**body, 'targets': []}, {**body, 'targets': [{**target, 'type': 'slack'}]}, {**body, 'event_types': ['SCANNING_PAUSED']},
                  {**body, 'targets': [{**target, 'address': 'ftp://x'}]}, {}):
        harbor('POST', path + '/policies', 400, json=wrong)
    assert [h['id'] for h in harbor('GET', path + '/policies?q=name%3Dci', shape='[WebhookPolicy]')] == [hook]
    harbor('PUT', f'{path}/policies/{hook}', json={**told, 'targets': [{**target, 'address': f'http://127.0.0.1:{strata.port}/gone'}]})
    push(strata, 'h-hooks/app', 'v1')
    job = harbor('GET', f'{path}/jobs?policy_id={hook}', shape='[WebhookJob]')[0]
    assert (job['event_type'], job['policy_id'], job['notify_type']) == ('PUSH_ARTIFACT', hook, 'http')
    assert [fits(t, 'WebhookLastTrigger')['event_type'] for t in harbor('GET', path + '/lasttrigger').json()] == ['PUSH_ARTIFACT']
    harbor('GET', path + '/jobs', 400)
    harbor('DELETE', f'{path}/policies/{hook}')
    harbor('GET', f'{path}/policies/{hook}', 404)


# --- replication ---

def test_an_image_is_replicated_by_the_api_of_harbor(harbor, strata, stocked):
    url = f'http://127.0.0.1:{strata.port}'
    login = {'access_key': 'admin', 'access_secret': strata.admin_password}
    harbor('POST', '/registries/ping', json={'url': url, 'credential_type': 'basic', **login})
    harbor('POST', '/registries/ping', 400, json={'url': url, 'access_key': 'admin', 'access_secret': 'wrong'})
    harbor('POST', '/registries/ping', 400, json={'url': f'http://127.0.0.1:{free_port()}'})
    harbor('POST', '/registries/ping', 404, json={'id': 999})
    there = harbor.made('/registries', {'name': 'h-peer', 'url': url, 'type': 'harbor', 'insecure': False, 'credential': {'type': 'basic', **login}})
    harbor('POST', '/registries', 409, json={'name': 'h-peer', 'url': url})
    harbor('POST', '/registries', 400, json={'name': 'h-ecr', 'url': url, 'type': 'aws-ecr'})
    told = harbor('GET', f'/registries/{there}', shape='Registry')
    assert told['credential'] == {'type': 'basic', 'access_key': 'admin', 'access_secret': '*****'}
    harbor('PUT', f'/registries/{there}', json={'name': 'h-peer', 'url': url, 'access_key': 'admin', 'access_secret': '*****', 'insecure': False})
    harbor('POST', '/registries/ping', json={'id': there})
    harbor('PUT', f'/registries/{there}', 400, json={'name': 'h-renamed'})
    fits(harbor('GET', f'/registries/{there}/info').json(), 'RegistryInfo')
    assert 'harbor' in harbor('GET', '/replication/adapters').json()
    assert [r['id'] for r in harbor('GET', '/registries?q=name%3Dh-peer', shape='[Registry]')] == [there]

    harbor.made('/projects', {'project_name': 'h-copies'})
    body = {'name': 'h-copy', 'src_registry': None, 'dest_registry': {'id': there}, 'dest_namespace': 'h-copies',
            'dest_namespace_replace_count': 1, 'trigger': {'type': 'manual'}, 'override': True, 'enabled': True, 'speed': -1,
            'filters': [{'type': 'name', 'value': 'harbored/**'}, {'type': 'tag', 'decoration': 'matches', 'value': 'v1'},
                        {'type': 'resource', 'value': 'image'}]}
    policy = harbor.made('/replication/policies', body)
    harbor('POST', '/replication/policies', 409, json=body)
    told = harbor('GET', f'/replication/policies/{policy}', shape='ReplicationPolicy')
    assert (told['dest_registry']['id'], told['src_registry']['id'], told['dest_namespace_replace_count']) == (there, 0, 1)
    fits(told['dest_registry'], 'Registry')
    harbor('PUT', f'/replication/policies/{policy}', json={**told, 'trigger': {'type': 'scheduled', 'trigger_settings': {'cron': '0 0 2 * * *'}}})
    again = harbor('GET', f'/replication/policies/{policy}', shape='ReplicationPolicy')
    assert again['trigger'] == {'type': 'scheduled', 'trigger_settings': {'cron': '0 0 2 * * *'}} and again['filters'] == told['filters']
    for wrong in ({'dest_registry': None}, {'override': False}, {'trigger': {'type': 'scheduled'}}, {'trigger': {'type': 'often'}},
                  {'filters': [{'type': 'label', 'value': 'x'}]}, {'filters': [{'type': 'label', 'value': ['x'], 'decoration': 'excludes'}]}, {'dest_registry': {'id': 999}}):
        harbor('PUT', f'/replication/policies/{policy}', 400, json={**body, **wrong})
    harbor('POST', '/replication/executions', 400, json={'policy_id': 999})
    run = harbor.made('/replication/executions', {'policy_id': policy})
    done = wait_for(lambda: (x := harbor('GET', f'/replication/executions/{run}', shape='ReplicationExecution'))['status'] != 'InProgress' and x, 60)
    assert (done['status'], done['total'], done['succeed'], done['failed']) == ('Succeed', 1, 1, 0), done
    task, = harbor('GET', f'/replication/executions/{run}/tasks', shape='[ReplicationTask]')
    assert (task['src_resource'], task['dst_resource'], task['status']) == ('harbored/team/app:v1', 'h-copies/team/app:v1', 'Succeed')
    assert 'succeeded' in harbor('GET', f'/replication/executions/{run}/tasks/{task["id"]}/log').text
    harbor('GET', f'/replication/executions/{run}/tasks/9/log', 404)
    assert harbor('GET', '/projects/h-copies/repositories/team%252Fapp/artifacts/v1', shape='Artifact')['digest'] == stocked[1]
    assert [x['id'] for x in harbor('GET', f'/replication/executions?policy_id={policy}&status=Succeed', shape='[ReplicationExecution]')] == [run]
    harbor('PUT', f'/replication/executions/{run}')
    harbor('DELETE', f'/registries/{there}', 412)
    harbor('DELETE', f'/replication/policies/{policy}')
    harbor('DELETE', f'/registries/{there}')
    harbor('GET', f'/registries/{there}', 404)
    harbor('GET', '/registries', 403, auth=('h-stranger', PASSWORD))


# --- search, groups, what was done ---

def test_search_finds_what_one_may_see(harbor, stocked):
    found = harbor('GET', '/search?q=harbored', shape='Search')
    assert [fits(p, 'Project')['name'] for p in found['project']] == ['harbored']
    assert [fits(r, 'SearchRepository')['repository_name'] for r in found['repository']] == ['harbored/team/app']
    for auth in (('h-stranger', PASSWORD), None):
        assert harbor('GET', '/search?q=harbored', shape='Search', auth=auth) == {'project': [], 'repository': []}


def test_groups_have_ids(harbor, strata):
    group = harbor.made('/usergroups', {'group_name': 'h-team', 'group_type': 2})
    harbor('POST', '/usergroups', 409, json={'group_name': 'h-team'})
    harbor('POST', '/usergroups', 400, json={'group_name': 'h-ldap', 'group_type': 1})
    told = harbor('GET', f'/usergroups/{group}', shape='UserGroup')
    assert told == {'id': group, 'group_name': 'h-team', 'group_type': 2}
    assert told in harbor('GET', '/usergroups?page_size=100', shape='[UserGroup]')
    harbor('PUT', f'/usergroups/{group}', json=told)
    harbor('PUT', f'/usergroups/{group}', 400, json={'group_name': 'h-renamed'})
    harbor('DELETE', f'/usergroups/{group}')
    harbor('GET', f'/usergroups/{group}', 404)
    harbor('GET', '/usergroups', 403, auth=('h-stranger', PASSWORD))


def test_what_was_done_is_told_to_administrators(harbor):
    number = harbor.made('/projects', {'project_name': 'h-logged'})
    row = harbor('GET', '/projects/h-logged/logs', shape='[AuditLog]')[0]
    assert (row['username'], row['operation'], row['resource_type']) == ('admin', 'create', 'projects')
    harbor('DELETE', f'/projects/{number}')
    rows = harbor('GET', '/audit-logs?q=username%3Dadmin,resource%3D~projects&page_size=5', shape='[AuditLog]')
    assert len(rows) == 5 and rows[0]['operation'] == 'delete'
    harbor('GET', '/audit-logs', 403, auth=('h-stranger', PASSWORD))
    assert harbor('GET', '/system/gc/schedule', shape='GCHistory')['schedule']['type'] == 'Hourly'
    for run in harbor('GET', '/system/gc', shape='[GCHistory]'):
        assert harbor('GET', f'/system/gc/{run["id"]}', shape='GCHistory') == run
        assert 'freed' in harbor('GET', f'/system/gc/{run["id"]}/log').text
    harbor('GET', '/system/gc/1', 404)


def test_members_see_what_was_done_in_their_project(harbor, strata):
    """And not what was done in another one that had its name."""
    number = harbor.made('/projects', {'project_name': 'h-mine'})
    for user, role in (('h-seer', 'guest'), ('h-outer', None)):
        strata.user(user, 'h-mine' if role else None, role)
    harbor('PUT', f'/projects/{number}', json={'metadata': {'auto_scan': 'true'}})
    harbor('DELETE', f'/projects/{number}')
    number = harbor.made('/projects', {'project_name': 'h-mine', 'metadata': {'public': 'true'}})
    strata.user('h-seer', 'h-mine', 'guest')
    harbor('PUT', f'/projects/{number}', 403, json={'metadata': {'auto_scan': 'true'}}, auth=('h-seer', PASSWORD))
    rows = harbor('GET', f'/projects/{number}/logs', shape='[AuditLog]', auth=('h-seer', PASSWORD))
    assert [r['operation'] for r in rows] in (['update', 'create'], ['create', 'create']), rows
    assert all(r['username'] == 'admin' for r in rows)
    assert harbor('GET', '/projects/h-mine/logs?q=username%3Dadmin,resource%3D~members', shape='[AuditLog]', auth=('h-seer', PASSWORD)) == rows[:1]
    assert harbor('GET', '/projects/h-mine/logs?q=username%3Dh-seer', shape='[AuditLog]') == []
    harbor('GET', '/projects/h-mine/logs', 403, auth=('h-outer', PASSWORD))
    harbor('GET', '/projects/h-mine/logs', 401, auth=None)


def test_scans_are_counted(harbor):
    for path in ('/scans/all/metrics', '/scans/schedule/metrics'):
        told = harbor('GET', path, shape='Stats')
        assert told['total'] == sum(told['metrics'].values()) >= told['completed'] and told['ongoing'] == (told['completed'] < told['total'])
        harbor('GET', path, 403, auth=('h-stranger', PASSWORD))


# --- the document ---

def test_all_that_is_served_stands_in_the_document_of_harbor():
    out = subprocess.run([str(BUILD / 'strata'), 'debug', 'routes', '--json'], capture_output=True, text=True, check=True).stdout
    served = {(r['method'], r['path'].removeprefix(V2)) for r in json.loads(out) if r['path'].startswith(V2 + '/')}
    assert served == set(operations())
