"""Harbor's API v2.0: what a project asks of its images, scanners, collection, settings."""
import pytest

from harbor import PASSWORD, Harbor, fits, push, skopeo
from test_c29_harbor import RULES, robot_body


@pytest.fixture(scope='module')
def harbor(strata):
    return Harbor(strata)


def policy(strata, project):
    return strata.api('GET', f'/api/v1/projects/{project}/trust-policy').json()


def metadata(harbor, project):
    return fits(harbor('GET', f'/projects/{project}', shape='Project')['metadata'], 'ProjectMetadata')


# --- metadata: the rules of a project ---

def test_switches_are_the_rules_of_the_project(harbor, strata):
    harbor.made('/projects', {'project_name': 'r-rules', 'metadata': {
        'public': 'false', 'prevent_vul': 'true', 'severity': 'high', 'auto_scan': 'true', 'enable_content_trust_cosign': 'true',
        'enable_content_trust': 'false', 'reuse_sys_cve_allowlist': 'true'}})
    assert policy(strata, 'r-rules') == {'require_signature': 'pull', 'block_severity': 'high', 'block_unscanned': True,
                                         'scan_on_push': True, 'allowed': []}
    told = metadata(harbor, 'r-rules')
    assert told == {**RULES, 'prevent_vul': 'true', 'severity': 'high', 'auto_scan': 'true', 'enable_content_trust': 'true',
                    'enable_content_trust_cosign': 'true'}
    harbor('PUT', '/projects/r-rules', json={'metadata': told})
    assert metadata(harbor, 'r-rules') == told, 'what was read can be sent back'
    harbor('PUT', '/projects/r-rules', json={'metadata': {'prevent_vul': 'false', 'severity': 'low'}})
    assert policy(strata, 'r-rules')['block_severity'] is None and policy(strata, 'r-rules')['block_unscanned'] is False
    for wrong in ({'prevent_vul': 'maybe'}, {'severity': 'low'}, {'prevent_vul': 'true', 'severity': 'huge'}, {'public': True}):
        harbor('PUT', '/projects/r-rules', 400, json={'metadata': wrong})
    for wrong in ({'metadata': {'severity': 'low'}}, {'cve_allowlist': {'items': [{}]}}):
        harbor('POST', '/projects', 400, json={'project_name': 'r-not-made', **wrong})
    harbor('HEAD', '/projects?project_name=r-not-made', 404)


def test_what_is_blocked_cannot_be_pulled(harbor, strata):
    harbor.made('/projects', {'project_name': 'r-blocked'})
    push(strata, 'r-blocked/app', 'v1')
    path = f'docker://127.0.0.1:{strata.port}/r-blocked/app:v1'
    assert skopeo(strata, 'inspect', path).returncode == 0
    harbor('POST', '/projects/r-blocked/metadatas/', json={'prevent_vul': 'true'})
    assert skopeo(strata, 'inspect', path, check=False).returncode != 0
    harbor('DELETE', '/projects/r-blocked/metadatas/prevent_vul')
    assert skopeo(strata, 'inspect', path).returncode == 0


def test_metadata_one_by_one(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'r-meta'})
    path = f'/projects/{number}/metadatas'
    assert harbor('GET', path + '/auto_scan', shape='ProjectMetadata') == {'auto_scan': 'false'}
    harbor('POST', path + '/', json={'auto_scan': 'true'})
    harbor('POST', path + '/', 409, json={'auto_scan': 'true'})
    harbor('POST', path + '/', 409, json={'public': 'true'})
    assert harbor('GET', path + '/auto_scan', shape='ProjectMetadata') == {'auto_scan': 'true'}
    harbor('GET', path + '/severity', 404)
    harbor('POST', path + '/', 400, json={'severity': 'high'})
    harbor('PUT', path + '/prevent_vul', json={'prevent_vul': 'true'})
    assert harbor('GET', path + '/severity', shape='ProjectMetadata') == {'severity': 'low'}
    harbor('PUT', path + '/severity', json={'severity': 'critical'})
    assert policy(strata, 'r-meta')['block_severity'] == 'critical'
    harbor('DELETE', path + '/severity')
    assert policy(strata, 'r-meta')['block_severity'] == 'low'
    for name in ('auto_scan', 'prevent_vul', 'enable_content_trust', 'public', 'reuse_sys_cve_allowlist'):
        harbor('DELETE', f'{path}/{name}')
    assert harbor('GET', path, shape='ProjectMetadata') == RULES
    harbor('DELETE', path + '/severity', 404)
    harbor('DELETE', path + '/colour', 404)
    for body in ({}, {'auto_scan': 'true', 'public': 'true'}, {'colour': 'red'}, {'auto_scan': 1}, {'retention_id': '7'}):
        harbor('POST', path + '/', 400, json=body)
    strata.user('r-guest', 'r-meta', 'guest')
    for method, name in (('POST', '/'), ('PUT', '/auto_scan'), ('DELETE', '/auto_scan')):
        harbor(method, path + name, 403, json={'auto_scan': 'true'}, auth=('r-guest', PASSWORD))


def test_vulnerabilities_that_do_not_count(harbor, strata):
    number = harbor.made('/projects', {'project_name': 'r-cves'})
    items = [{'cve_id': 'CVE-2024-1'}, {'cve_id': 'CVE-2024-2'}]
    harbor('PUT', f'/projects/{number}', json={'cve_allowlist': {'items': items, 'expires_at': None},
                                               'metadata': {'reuse_sys_cve_allowlist': 'false'}})
    assert policy(strata, 'r-cves')['allowed'] == ['CVE-2024-1', 'CVE-2024-2']
    project = harbor('GET', f'/projects/{number}', shape='Project')
    assert fits(project['cve_allowlist'], 'CVEAllowlist')['items'] == items and project['metadata']['reuse_sys_cve_allowlist'] == 'false'
    for wrong in ({'items': [{'cve_id': ''}]}, {'items': ['CVE-1']}, {'items': items, 'expires_at': 1900000000},
                  {'items': [{'cve_id': 'x'}] * 1001}):
        harbor('PUT', f'/projects/{number}', 400, json={'cve_allowlist': wrong})
    # The list of the system instead: its own is kept for another day.
    for body in ({'metadata': {'reuse_sys_cve_allowlist': 'true'}}, {'metadata': {'reuse_sys_cve_allowlist': 'true'}, 'cve_allowlist': {'items': items}}):
        harbor('PUT', f'/projects/{number}', json=body)
        project = harbor('GET', f'/projects/{number}', shape='Project')
        assert project['cve_allowlist']['items'] == items and project['metadata']['reuse_sys_cve_allowlist'] == 'true'
        ours = policy(strata, 'r-cves')
        assert ours['allowed'] == ['CVE-2024-1', 'CVE-2024-2'] and ours['allowed_off'] is True
        assert strata.api('PUT', '/api/v1/projects/r-cves/trust-policy', json=ours).json() == ours
    harbor('PUT', f'/projects/{number}/metadatas/reuse_sys_cve_allowlist', json={'reuse_sys_cve_allowlist': 'false'})
    assert 'allowed_off' not in policy(strata, 'r-cves')
    harbor('DELETE', f'/projects/{number}/metadatas/reuse_sys_cve_allowlist')
    assert policy(strata, 'r-cves')['allowed_off'] is True
    r = strata.cli('trust', 'set', '--allow', 'CVE-2024-3', '-p', 'r-cves')
    assert r.returncode == 0 and policy(strata, 'r-cves')['allowed'] == ['CVE-2024-3'] and 'allowed_off' not in policy(strata, 'r-cves')


def test_the_list_of_the_system_counts_where_there_is_no_other(harbor, strata):
    listed = [{'cve_id': 'CVE-1'}]
    assert harbor('GET', '/system/CVEAllowlist', shape='CVEAllowlist')['items'] == []
    strata.user('r-reader')
    for wrong in ({}, {'items': 7}, {'items': [{}]}, {'items': [{'cve_id': 'x'}], 'expires_at': 1900000000}):
        harbor('PUT', '/system/CVEAllowlist', 400, json=wrong)
    harbor('PUT', '/system/CVEAllowlist', 403, json={'items': listed}, auth=('r-reader', PASSWORD))
    harbor('GET', '/system/CVEAllowlist', auth=('r-reader', PASSWORD))
    number = harbor.made('/projects', {'project_name': 'r-system', 'metadata': {'prevent_vul': 'true', 'severity': 'critical'}})
    digest = push(strata, 'r-system/app', 'v1')
    report = {'scanner': {'name': 'Test'}, 'vulnerabilities': [{'id': 'CVE-1', 'package': 'zlib', 'version': '1', 'severity': 'Critical'}]}
    assert strata.api('PUT', f'/api/v1/projects/r-system/repositories/app/artifacts/{digest}/vulnerabilities', json=report).ok

    def pulls():
        return skopeo(strata, 'inspect', f'docker://127.0.0.1:{strata.port}/r-system/app:v1', check=False).returncode == 0
    assert not pulls()
    harbor('PUT', '/system/CVEAllowlist', json={'items': listed, 'expires_at': None})
    assert harbor('GET', '/system/CVEAllowlist', shape='CVEAllowlist')['items'] == listed and pulls()
    strata.stop()
    strata.start()
    assert harbor('GET', '/system/CVEAllowlist', shape='CVEAllowlist')['items'] == listed and pulls()
    harbor('PUT', f'/projects/{number}', json={'cve_allowlist': {'items': [{'cve_id': 'CVE-9'}]}, 'metadata': {'reuse_sys_cve_allowlist': 'false'}})
    assert not pulls(), 'it has a list of its own'
    harbor('PUT', f'/projects/{number}', json={'metadata': {'reuse_sys_cve_allowlist': 'true'}})
    assert pulls()
    harbor('PUT', '/system/CVEAllowlist', json={'items': []})
    assert not pulls()


def test_which_rules_of_retention_there_are(harbor, strata):
    strata.user('r-anyone')
    told = harbor('GET', '/retentions/metadatas', shape='RetentionMetadata', auth=('r-anyone', PASSWORD))
    assert [fits(t, 'RetentionRuleMetadata')['rule_template'] for t in told['templates']] == [
        'latestPushedK', 'latestPulledN', 'nDaysSinceLastPush', 'nDaysSinceLastPull', 'always']
    assert [fits(p, 'RetentionRuleParamMetadata')['unit'] for t in told['templates'] for p in t['params']] == ['COUNT', 'COUNT', 'DAYS', 'DAYS']
    for key, decorations in (('scope_selectors', ['repoMatches', 'repoExcludes']), ('tag_selectors', ['matches', 'excludes'])):
        one, = told[key]
        assert fits(one, 'RetentionSelectorMetadata')['decorations'] == decorations
    harbor('GET', '/retentions/metadatas', 401, auth=None)


def test_a_project_is_made_as_a_cache(harbor, strata):
    there = harbor.made('/registries', {'name': 'r-hub', 'url': 'http://127.0.0.1:9', 'type': 'docker-registry'})
    harbor.made('/projects', {'project_name': 'r-cache', 'registry_id': there, 'metadata': {'public': 'true'}})
    assert harbor('GET', '/projects/r-cache', shape='Project')['registry_id'] == there
    assert strata.api('GET', '/api/v1/projects/r-cache').json()['proxy']['registry'] == 'r-hub'
    strata.user('r-maker')
    harbor('POST', '/projects', 403, json={'project_name': 'r-other', 'registry_id': there}, auth=('r-maker', PASSWORD))


# --- robots and repositories ---

def test_a_robot_is_given_nothing_elsewhere(harbor):
    for name in ('r-home', 'r-foreign'):
        harbor.made('/projects', {'project_name': name})
    made = harbor('POST', '/robots', 201, shape='RobotCreated', json=robot_body('ci', 'r-home', ('repository', 'pull')))
    for wrong in (robot_body('ci', 'r-foreign', ('repository', 'pull')), robot_body('ci', '*', ('repository', 'pull')),
                  robot_body('ci', 'r-home', ('repository', 'pull'), level='system')):
        harbor('PUT', f'/robots/{made["id"]}', 400, json=wrong)
    harbor('PUT', f'/robots/{made["id"]}', json=robot_body('ci', 'r-home', ('repository', 'push')))
    permission, = harbor('GET', f'/robots/{made["id"]}', shape='Robot')['permissions']
    assert permission['namespace'] == 'r-home' and permission['access'][0]['action'] == 'push'


def test_a_repository_is_described(harbor, strata):
    harbor.made('/projects', {'project_name': 'r-text'})
    push(strata, 'r-text/team/app', 'v1')
    path = '/projects/r-text/repositories/team%252Fapp'
    assert harbor('GET', path, shape='Repository')['description'] == ''
    harbor('PUT', path, json={'description': '# What it is\n\nAn *app*.'})
    assert harbor('GET', path, shape='Repository')['description'] == '# What it is\n\nAn *app*.'
    assert harbor('GET', '/projects/r-text/repositories', shape='[Repository]')[0]['description'].startswith('# What')
    harbor('PUT', path, 400, json={'description': 'x' * 16385})
    harbor('PUT', path, 400, json={'description': '\x1b[2J'})
    harbor('PUT', '/projects/r-text/repositories/none', 404, json={'description': 'x'})
    strata.user('r-reader', 'r-text', 'guest')
    harbor('PUT', path, 403, json={'description': 'x'}, auth=('r-reader', PASSWORD))


# --- collection ---

def test_collection_is_asked_for(harbor, strata):
    harbor('POST', '/system/gc/schedule', 201, json={'schedule': {'type': 'Manual'}, 'parameters': {'delete_untagged': False, 'workers': 1}})
    where = harbor.headers['Location'].removeprefix('/api/v2.0')
    run = harbor('GET', where, shape='GCHistory')
    assert run['job_status'] == 'Success' and run in harbor('GET', '/system/gc', shape='[GCHistory]')
    assert 'freed' in harbor('GET', where + '/log').text
    harbor('PUT', '/system/gc/schedule', json={'schedule': {'type': 'Manual'}})
    harbor('PUT', '/system/gc/schedule', json={'schedule': harbor('GET', '/system/gc/schedule', shape='GCHistory')['schedule']})
    for wrong in ({}, {'schedule': {}}, {'schedule': {'type': 'None'}}, {'schedule': {'type': 'Custom', 'cron': '0 0 0 * * *'}},
                  {'schedule': {'type': 'Manual'}, 'parameters': {'delete_untagged': True}},
                  {'schedule': {'type': 'Manual'}, 'parameters': {'dry_run': True}}):
        harbor('PUT', '/system/gc/schedule', 400, json=wrong)
    strata.user('r-nobody')
    harbor('POST', '/system/gc/schedule', 403, json={'schedule': {'type': 'Manual'}}, auth=('r-nobody', PASSWORD))


# --- names to choose from ---

def test_users_and_groups_are_found_by_a_part_of_their_names(harbor, strata):
    for name in ('r-find-one', 'r-find-two', 'r-find-far'):
        strata.user(name)
    strata.project('r-found')
    for name in ('r-find-one', 'r-find-two'):
        assert strata.api('PUT', f'/api/v1/projects/r-found/members/{name}', json={'role': 'guest'}).status_code < 300
    for group in ('r-group-near', 'r-group-far'):
        strata.api('POST', '/api/v1/groups', json={'name': group})
    harbor.made('/projects/r-found/members', {'role_id': 3, 'member_group': {'group_name': 'r-group-near'}})

    def users(word, auth='self'):
        return [u['username'] for u in harbor('GET', f'/users/search?username={word}', shape='[UserSearchRespItem]', auth=auth)]

    def groups(word, auth='self'):
        return [g['group_name'] for g in harbor('GET', f'/usergroups/search?groupname={word}', shape='[UserGroupSearchItem]', auth=auth)]
    one, far = ('r-find-one', PASSWORD), ('r-find-far', PASSWORD)
    assert users('r-find') == ['r-find-far', 'r-find-one', 'r-find-two'] and groups('r-group') == ['r-group-far', 'r-group-near']
    assert users('r-find', one) == ['r-find-one', 'r-find-two'] and groups('r-group', one) == ['r-group-near']
    assert users('r-find', far) == [] and groups('r-group', far) == []
    assert users('r-find-one', far) == ['r-find-one'], 'a whole name is found by everybody, as when he is made a member'
    harbor('GET', '/users/search', 400)
    harbor('GET', '/usergroups/search', 400)
    harbor('GET', '/users/search?username=a', 401, auth=None)
    narrow = strata.api('POST', '/api/v1/tokens', user='r-find-one', json={'name': 'narrow', 'scopes': ['job:read']}).json()['token']
    harbor('GET', '/users/search?username=r', 403, auth=('r-find-one', narrow))


# --- settings, LDAP ---

def test_settings_are_read_and_not_changed(own_strata):
    s = own_strata(args=['--set', 'access.users_create_projects=false', '--set', 'registry.project_quota=1GiB']).start()
    h = Harbor(s)
    for path in ('/configurations', '/internalconfig'):
        told = h('GET', path).json()
        for name, item in told.items():
            assert set(item) == {'value', 'editable'} and item['editable'] is False, name
        values = {name: item['value'] for name, item in told.items()}
        assert (values['auth_mode'], values['project_creation_restriction'], values['storage_per_project']) == ('db_auth', 'adminonly', 1 << 30)
        assert values['token_expiration'] == 5 and values['read_only'] is False
    assert h('GET', '/systeminfo', shape='GeneralInfo')['project_creation_restriction'] == 'adminonly'
    h('PUT', '/configurations', json=values)
    h('PUT', '/configurations', json={'oidc_endpoint': '', 'ldap_verify_cert': False, 'read_only': None})
    for wrong in ({'project_creation_restriction': 'everyone'}, {'read_only': True}, {'auth_mode': 'ldap_auth'},
                  {'ldap_url': 'ldap://h'}, {'storage_per_project': 5}, {'storage_per_project': '5'}):
        message = h('PUT', '/configurations', 400, json=wrong).json()['errors'][0]['message']
        assert next(iter(wrong)) in message
    assert 'strata.yaml' in h('PUT', '/configurations', 400, json={'storage_per_project': 5}).text
    s.user('r-plain')
    for method in ('GET', 'PUT'):
        h(method, '/configurations', 403, json={}, auth=('r-plain', PASSWORD))


def test_there_is_no_ldap(harbor):
    ping = harbor('POST', '/ldap/ping', shape='LdapPingResult', json={'ldap_url': 'ldap://127.0.0.1'})
    assert ping['success'] is False and 'no LDAP' in ping['message']
    for method, path in (('GET', 'users/search?username=a'), ('POST', 'users/import'), ('GET', 'groups/search?groupname=a')):
        assert 'no LDAP' in harbor(method, f'/ldap/{path}', 400, json={'ldap_uid_list': ['a']}).text


def test_what_is_stored_is_told_to_administrators(harbor, strata):
    harbor.made('/projects', {'project_name': 'r-stored'})
    push(strata, 'r-stored/app', 'v1')
    assert harbor('GET', '/statistics', shape='Statistic')['total_storage_consumption'] > 0
    strata.user('r-curious')
    assert harbor('GET', '/statistics', shape='Statistic', auth=('r-curious', PASSWORD))['total_storage_consumption'] == 0
    harbor('GET', '/search', 400)
