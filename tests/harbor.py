"""Harbor's API v2.0 as its clients call it, and the shapes of its answers."""
import re
import subprocess

import requests

V2 = '/api/v2.0'
PASSWORD = 'correct horse battery'
STRING, INT, BOOL, LIST, MAP = str, int, bool, list, dict

# Written from Harbor's api/v2.0/swagger.yaml: the fields of a definition and their types. It requires none.
SHAPES = {
    'Project': {'project_id': INT, 'owner_id': INT, 'name': STRING, 'registry_id': INT, 'creation_time': STRING, 'update_time': STRING,
                'deleted': BOOL, 'owner_name': STRING, 'togglable': BOOL, 'current_user_role_id': INT, 'current_user_role_ids': LIST,
                'repo_count': INT, 'metadata': MAP, 'cve_allowlist': MAP},
    'ProjectSummary': {'repo_count': INT, 'project_admin_count': INT, 'maintainer_count': INT, 'developer_count': INT, 'guest_count': INT,
                       'limited_guest_count': INT, 'quota': MAP, 'registry': MAP},
    'ProjectDeletable': {'deletable': BOOL, 'message': STRING},
    'Repository': {'id': INT, 'project_id': INT, 'name': STRING, 'description': STRING, 'artifact_count': INT, 'pull_count': INT,
                   'creation_time': STRING, 'update_time': STRING},
    'Artifact': {'id': INT, 'type': STRING, 'media_type': STRING, 'manifest_media_type': STRING, 'artifact_type': STRING, 'project_id': INT,
                 'repository_id': INT, 'repository_name': STRING, 'digest': STRING, 'size': INT, 'icon': STRING, 'push_time': STRING,
                 'pull_time': STRING, 'extra_attrs': MAP, 'annotations': MAP, 'references': LIST, 'tags': LIST, 'addition_links': MAP,
                 'labels': LIST, 'scan_overview': MAP, 'sbom_overview': MAP, 'accessories': LIST},
    'Label': {'id': INT, 'name': STRING, 'description': STRING, 'color': STRING, 'scope': STRING, 'project_id': INT, 'creation_time': STRING,
              'update_time': STRING},
    'Tag': {'id': INT, 'repository_id': INT, 'artifact_id': INT, 'name': STRING, 'push_time': STRING, 'pull_time': STRING, 'immutable': BOOL},
    'Reference': {'parent_id': INT, 'child_id': INT, 'child_digest': STRING, 'platform': MAP, 'annotations': MAP, 'urls': LIST},
    'Accessory': {'id': INT, 'artifact_id': INT, 'subject_artifact_id': INT, 'subject_artifact_digest': STRING,
                  'subject_artifact_repo': STRING, 'size': INT, 'digest': STRING, 'type': STRING, 'icon': STRING, 'creation_time': STRING},
    'UserResp': {'email': STRING, 'realname': STRING, 'comment': STRING, 'user_id': INT, 'username': STRING, 'sysadmin_flag': BOOL,
                 'admin_role_in_auth': BOOL, 'oidc_user_meta': MAP, 'creation_time': STRING, 'update_time': STRING},
    'Permission': {'resource': STRING, 'action': STRING},
    'Quota': {'id': INT, 'ref': MAP, 'hard': MAP, 'used': MAP, 'creation_time': STRING, 'update_time': STRING},
    'Robot': {'id': INT, 'name': STRING, 'description': STRING, 'secret': STRING, 'level': STRING, 'duration': INT, 'editable': BOOL,
              'disable': BOOL, 'expires_at': INT, 'permissions': LIST, 'creator_type': STRING, 'creator_ref': INT, 'creation_time': STRING,
              'update_time': STRING},
    'RobotCreated': {'id': INT, 'name': STRING, 'secret': STRING, 'creation_time': STRING, 'expires_at': INT},
    'RobotSec': {'secret': STRING},
    'RobotPermission': {'kind': STRING, 'namespace': STRING, 'access': LIST},
    'Access': {'resource': STRING, 'action': STRING, 'effect': STRING},
    'OverallHealthStatus': {'status': STRING, 'components': LIST},
    'GeneralInfo': {'current_time': STRING, 'with_chartmuseum': BOOL, 'registry_url': STRING, 'external_url': STRING, 'auth_mode': STRING,
                    'primary_auth_mode': BOOL, 'project_creation_restriction': STRING, 'self_registration': BOOL, 'has_ca_root': BOOL,
                    'harbor_version': STRING, 'registry_storage_provider_name': STRING, 'read_only': BOOL, 'notification_enable': BOOL,
                    'authproxy_settings': MAP, 'banner_message': STRING, 'oidc_provider_name': STRING},
    'Statistic': {'private_project_count': INT, 'private_repo_count': INT, 'public_project_count': INT, 'public_repo_count': INT,
                  'total_project_count': INT, 'total_repo_count': INT, 'total_storage_consumption': INT},
    'ProjectMetadata': dict.fromkeys(('public', 'enable_content_trust', 'enable_content_trust_cosign', 'prevent_vul', 'severity', 'auto_scan', 'reuse_sys_cve_allowlist',
                                      'retention_id'), STRING),
    'CVEAllowlist': {'id': INT, 'project_id': INT, 'expires_at': INT, 'items': LIST, 'creation_time': STRING, 'update_time': STRING},
    'ScannerRegistration': {'uuid': STRING, 'name': STRING, 'description': STRING, 'url': STRING, 'disabled': BOOL, 'is_default': BOOL,
                            'auth': STRING, 'access_credential': STRING, 'skip_certVerify': BOOL, 'use_internal_addr': BOOL,
                            'create_time': STRING, 'update_time': STRING, 'adapter': STRING, 'vendor': STRING, 'version': STRING,
                            'health': STRING, 'capabilities': MAP},
    'ScannerAdapterMetadata': {'scanner': MAP, 'capabilities': LIST, 'properties': MAP},
    'NativeReportSummary': {'report_id': STRING, 'scan_status': STRING, 'severity': STRING, 'duration': INT, 'summary': MAP,
                            'start_time': STRING, 'end_time': STRING, 'complete_percent': INT, 'scanner': MAP},
    'VulnerabilitySummary': {'total': INT, 'fixable': INT, 'summary': MAP},
    # Of the pluggable scanning API, which Harbor hands on.
    'Report': {'generated_at': STRING, 'artifact': MAP, 'scanner': MAP, 'severity': STRING, 'vulnerabilities': LIST},
    'Vulnerability': {'id': STRING, 'package': STRING, 'version': STRING, 'fix_version': STRING, 'severity': STRING, 'description': STRING,
                      'links': LIST, 'artifact_digests': LIST},
    'AdditionLink': {'href': STRING, 'absolute': BOOL},
    'UserSearchRespItem': {'user_id': INT, 'username': STRING},
    'UserGroupSearchItem': {'id': INT, 'group_name': STRING, 'group_type': INT},
    'LdapPingResult': {'success': BOOL, 'message': STRING},
    'ConfigItem': {'value': (STRING, BOOL, INT), 'editable': BOOL},
    'LdapUser': {'username': STRING, 'realname': STRING, 'email': STRING},
    # Of the image's configuration, which Harbor hands on.
    'History': {'created': STRING, 'created_by': STRING, 'author': STRING, 'comment': STRING, 'empty_layer': BOOL},
    'WebhookPolicy': {'id': INT, 'name': STRING, 'description': STRING, 'project_id': INT, 'targets': LIST, 'event_types': LIST,
                      'creator': STRING, 'creation_time': STRING, 'update_time': STRING, 'enabled': BOOL},
    'WebhookTargetObject': {'type': STRING, 'address': STRING, 'auth_header': STRING, 'skip_cert_verify': BOOL, 'payload_format': STRING},
    'WebhookLastTrigger': {'policy_name': STRING, 'event_type': STRING, 'enabled': BOOL, 'creation_time': STRING, 'last_trigger_time': STRING},
    'WebhookJob': {'id': INT, 'policy_id': INT, 'event_type': STRING, 'notify_type': STRING, 'status': STRING, 'job_detail': STRING,
                   'creation_time': STRING, 'update_time': STRING},
    'SupportedWebhookEventTypes': {'event_type': LIST, 'notify_type': LIST},
    'Registry': {'id': INT, 'url': STRING, 'name': STRING, 'credential': MAP, 'type': STRING, 'insecure': BOOL, 'description': STRING,
                 'status': STRING, 'creation_time': STRING, 'update_time': STRING},
    'RegistryInfo': {'type': STRING, 'description': STRING, 'supported_resource_filters': LIST, 'supported_triggers': LIST},
    'ReplicationPolicy': {'id': INT, 'name': STRING, 'description': STRING, 'src_registry': MAP, 'dest_registry': MAP, 'dest_namespace': STRING,
                          'dest_namespace_replace_count': INT, 'trigger': MAP, 'filters': LIST, 'replicate_deletion': BOOL, 'deletion': BOOL,
                          'override': BOOL, 'enabled': BOOL, 'creation_time': STRING, 'update_time': STRING, 'speed': INT},
    'ReplicationExecution': {'id': INT, 'policy_id': INT, 'status': STRING, 'trigger': STRING, 'start_time': STRING, 'end_time': STRING,
                             'status_text': STRING, 'total': INT, 'failed': INT, 'succeed': INT, 'in_progress': INT, 'stopped': INT},
    'ReplicationTask': {'id': INT, 'execution_id': INT, 'status': STRING, 'job_id': STRING, 'operation': STRING, 'resource_type': STRING,
                        'src_resource': STRING, 'dst_resource': STRING, 'start_time': STRING, 'end_time': STRING},
    'Search': {'project': LIST, 'repository': LIST, 'chart': LIST},
    'SearchRepository': {'project_id': INT, 'project_name': STRING, 'project_public': BOOL, 'repository_name': STRING, 'pull_count': INT,
                         'artifact_count': INT},
    'UserGroup': {'id': INT, 'group_name': STRING, 'group_type': INT, 'ldap_group_dn': STRING},
    'Stats': {'total': INT, 'completed': INT, 'metrics': MAP, 'ongoing': BOOL, 'trigger': STRING},
    'RetentionMetadata': {'templates': LIST, 'scope_selectors': LIST, 'tag_selectors': LIST},
    'RetentionRuleMetadata': {'rule_template': STRING, 'display_text': STRING, 'action': STRING, 'params': LIST},
    'RetentionRuleParamMetadata': {'type': STRING, 'unit': STRING, 'required': BOOL},
    'RetentionSelectorMetadata': {'display_text': STRING, 'kind': STRING, 'decorations': LIST},
    'AuditLog': {'id': INT, 'username': STRING, 'resource': STRING, 'resource_type': STRING, 'operation': STRING, 'op_time': STRING},
    'GCHistory': {'id': INT, 'job_name': STRING, 'job_kind': STRING, 'job_parameters': STRING, 'schedule': MAP, 'job_status': STRING,
                  'deleted': BOOL, 'creation_time': STRING, 'update_time': STRING},
    'ProjectMemberEntity': {'id': INT, 'project_id': INT, 'entity_name': STRING, 'role_name': STRING, 'role_id': INT, 'entity_id': INT,
                            'entity_type': STRING},
    'ImmutableRule': {'id': INT, 'priority': INT, 'disabled': BOOL, 'action': STRING, 'template': STRING, 'params': MAP,
                      'tag_selectors': LIST, 'scope_selectors': MAP},
    'RetentionPolicy': {'id': INT, 'algorithm': STRING, 'rules': LIST, 'trigger': MAP, 'scope': MAP},
    'RetentionRule': {'id': INT, 'priority': INT, 'disabled': BOOL, 'action': STRING, 'template': STRING, 'params': MAP,
                      'tag_selectors': LIST, 'scope_selectors': MAP},
    'Selector': {'kind': STRING, 'decoration': STRING, 'pattern': STRING, 'extras': STRING},
    'RetentionExecution': {'id': INT, 'policy_id': INT, 'start_time': STRING, 'end_time': STRING, 'status': STRING, 'trigger': STRING,
                           'dry_run': BOOL},
    'RetentionExecutionTask': {'id': INT, 'execution_id': INT, 'repository': STRING, 'job_id': STRING, 'status': STRING, 'status_code': INT,
                               'status_revision': INT, 'start_time': STRING, 'end_time': STRING, 'total': INT, 'retained': INT},
}


# What is served, by Harbor's document: the status of success and what comes with it. [X]: a page of X with its total, (X): a plain
# list, {X}: a map to X.
OPERATIONS = """/audit-logs GET=200[AuditLog]
/configurations GET=200{ConfigItem} PUT=200
/health GET=200OverallHealthStatus
/internalconfig GET=200{ConfigItem}
/labels GET=200[Label] POST=201
/labels/{id} GET=200Label PUT=200 DELETE=200
/ldap/groups/search GET=200(UserGroup)
/ldap/ping POST=200LdapPingResult
/ldap/users/import POST=200
/ldap/users/search GET=200(LdapUser)
/ping GET=200text
/projects GET=200[Project] HEAD=200 POST=201
/projects/{p} GET=200Project PUT=200 DELETE=200
/projects/{p}/_deletable GET=200ProjectDeletable
/projects/{p}/immutabletagrules GET=200[ImmutableRule] POST=201
/projects/{p}/immutabletagrules/{id} PUT=200 DELETE=200
/projects/{p}/logs GET=200[AuditLog]
/projects/{p}/members GET=200[ProjectMemberEntity] POST=201
/projects/{p}/members/{id} GET=200ProjectMemberEntity PUT=200 DELETE=200
/projects/{p}/metadatas GET=200ProjectMetadata POST=200
/projects/{p}/metadatas/ GET=200ProjectMetadata POST=200
/projects/{p}/metadatas/{meta} GET=200ProjectMetadata PUT=200 DELETE=200
/projects/{p}/repositories GET=200[Repository]
/projects/{p}/repositories/{r...} GET=200Repository PUT=200 DELETE=200
/projects/{p}/repositories/{r...}/artifacts GET=200[Artifact] POST=201
/projects/{p}/repositories/{r...}/artifacts/{ref} GET=200Artifact DELETE=200
/projects/{p}/repositories/{r...}/artifacts/{ref}/accessories GET=200[Accessory]
/projects/{p}/repositories/{r...}/artifacts/{ref}/additions/vulnerabilities GET=200{Report}
/projects/{p}/repositories/{r...}/artifacts/{ref}/additions/{addition} GET=200(History)
/projects/{p}/repositories/{r...}/artifacts/{ref}/labels POST=200
/projects/{p}/repositories/{r...}/artifacts/{ref}/labels/{label} DELETE=200
/projects/{p}/repositories/{r...}/artifacts/{ref}/scan POST=202
/projects/{p}/repositories/{r...}/artifacts/{ref}/scan/stop POST=202
/projects/{p}/repositories/{r...}/artifacts/{ref}/scan/{id}/log GET=200text
/projects/{p}/repositories/{r...}/artifacts/{ref}/tags GET=200[Tag] POST=201
/projects/{p}/repositories/{r...}/artifacts/{ref}/tags/{tag} DELETE=200
/projects/{p}/robots GET=200[Robot] POST=201RobotCreated
/projects/{p}/robots/{id} GET=200Robot PUT=200 DELETE=200
/projects/{p}/scanner GET=200ScannerRegistration PUT=200
/projects/{p}/scanner/candidates GET=200[ScannerRegistration]
/projects/{p}/summary GET=200ProjectSummary
/projects/{p}/webhook/events GET=200SupportedWebhookEventTypes
/projects/{p}/webhook/jobs GET=200[WebhookJob]
/projects/{p}/webhook/lasttrigger GET=200(WebhookLastTrigger)
/projects/{p}/webhook/policies GET=200[WebhookPolicy] POST=201
/projects/{p}/webhook/policies/{id} GET=200WebhookPolicy PUT=200 DELETE=200
/quotas GET=200[Quota]
/quotas/{id} GET=200Quota PUT=200
/registries GET=200[Registry] POST=201
/registries/ping POST=200
/registries/{id} GET=200Registry PUT=200 DELETE=200
/registries/{id}/info GET=200RegistryInfo
/replication/adapters GET=200(text)
/replication/executions GET=200[ReplicationExecution] POST=201
/replication/executions/{id} GET=200ReplicationExecution PUT=200
/replication/executions/{id}/tasks GET=200[ReplicationTask]
/replication/executions/{id}/tasks/{task}/log GET=200text
/replication/policies GET=200[ReplicationPolicy] POST=201
/replication/policies/{id} GET=200ReplicationPolicy PUT=200 DELETE=200
/repositories GET=200[Repository]
/retentions POST=201
/retentions/metadatas GET=200RetentionMetadata
/retentions/{p} GET=200RetentionPolicy PUT=200 DELETE=200
/retentions/{p}/executions GET=200[RetentionExecution] POST=201
/retentions/{p}/executions/{id} PATCH=200
/retentions/{p}/executions/{id}/tasks GET=200[RetentionExecutionTask]
/retentions/{p}/executions/{id}/tasks/{task} GET=200text
/robots GET=200[Robot] POST=201RobotCreated
/robots/{id} GET=200Robot PUT=200 PATCH=200RobotSec DELETE=200
/scanners GET=200[ScannerRegistration] POST=201
/scanners/ping POST=200
/scanners/{scanner} GET=200ScannerRegistration PUT=200 PATCH=200 DELETE=200ScannerRegistration
/scanners/{scanner}/metadata GET=200ScannerAdapterMetadata
/scans/all/metrics GET=200Stats
/scans/schedule/metrics GET=200Stats
/search GET=200Search
/statistics GET=200Statistic
/system/CVEAllowlist GET=200CVEAllowlist PUT=200
/system/gc GET=200[GCHistory]
/system/gc/schedule GET=200GCHistory POST=201 PUT=200
/system/gc/{id} GET=200GCHistory
/system/gc/{id}/log GET=200text
/systeminfo GET=200GeneralInfo
/usergroups GET=200[UserGroup] POST=201
/usergroups/search GET=200[UserGroupSearchItem]
/usergroups/{id} GET=200UserGroup PUT=200 DELETE=200
/users GET=200[UserResp] POST=201
/users/current GET=200UserResp
/users/current/permissions GET=200(Permission)
/users/search GET=200[UserSearchRespItem]
/users/{id} GET=200UserResp PUT=200 DELETE=200
/users/{id}/password PUT=200
/users/{id}/sysadmin PUT=200
"""


def operations():
    return {(method, path): (int(said[:3]), said[3:]) for path, *methods in map(str.split, OPERATIONS.strip().splitlines())
            for method, said in (m.split('=') for m in methods)}


def operation_of(method, path):
    """The (status, shape) of the most literal pattern that fits; None: not served."""
    path = path.split('?')[0]
    fitting = []
    for (m, pattern), said in operations().items():
        parts = re.split(r'(\{[^}]+\})', pattern)
        wanted = ''.join('.+' if x.endswith('...}') else '[^/]+' if x.startswith('{') else re.escape(x) for x in parts)
        if m == method and re.fullmatch(wanted, path):
            fitting.append((sum(len(x) for x in parts if not x.startswith('{')), said))
    return max(fitting)[1] if fitting else None


def obeys(r, said):
    """The answer of a success is what the document says."""
    status, shape = said
    assert r.status_code == status, f'{r.request.method} {r.request.path_url}: {r.status_code} and not {status}'
    if status == 201:
        assert r.headers['Location'].startswith(V2 + '/')
    if r.request.method == 'HEAD' or not shape:
        assert not r.content, f'{r.request.method} {r.request.path_url}: {r.text}'
        return
    if shape == 'text':
        assert r.headers['Content-Type'].startswith('text/plain')
        return
    assert r.headers['Content-Type'].startswith('application/json')
    kind, name = (shape[0], shape[1:-1]) if shape[0] in '[({' else ('', shape)
    body = r.json()
    if kind == '[':
        assert int(r.headers['X-Total-Count']) >= len(body)
    for one in body if kind in ('[', '(') and kind else body.values() if kind else [body]:
        assert isinstance(one, str) if name == 'text' else fits(one, name)


def fits(value, shape):
    fields = SHAPES[shape]
    assert isinstance(value, dict) and not value.keys() - fields.keys(), f'{shape}: {value.keys() - fields.keys()}'
    for key, v in value.items():
        assert type(v) is fields[key] or type(v) in (fields[key] if type(fields[key]) is tuple else ()), f'{shape}.{key}: {v!r}'
        if key.endswith('_time'):
            assert re.fullmatch(r'\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z', v), f'{key}: {v}'
    return value


class Harbor:
    """As a client of Harbor calls it: with Basic."""

    def __init__(self, strata, auth=None):
        self.strata, self.auth = strata, auth or ('admin', strata.admin_password)

    def __call__(self, method, path, status=200, shape=None, auth='self', **kwargs):
        r = requests.request(method, self.strata.url + V2 + path, auth=self.auth if auth == 'self' else auth, timeout=30, **kwargs)
        assert r.status_code == status, f'{method} {path}: {r.status_code} {r.text}'
        if status >= 400 and method != 'HEAD':
            error, = r.json()['errors']
            assert set(error) == {'code', 'message'} and error['code'].isupper() and error['message'], r.text
        elif r.ok:
            obeys(r, operation_of(method, path))
        self.headers = r.headers
        assert r.headers['X-Request-Id']
        if shape and shape.startswith('['):
            assert int(r.headers['X-Total-Count']) >= len(r.json())
            return [fits(v, shape[1:-1]) for v in r.json()]
        return fits(r.json(), shape) if shape else r

    def made(self, path, body):
        self('POST', path, 201, json=body)
        place, number = self.headers['Location'].rsplit('/', 1)
        assert place == V2 + path.split('?')[0]
        return int(number)


def push(strata, repository, tag):
    """By a real client, from the image that every test uses."""
    skopeo(strata, 'copy', f'docker://127.0.0.1:{strata.port}/{strata.busybox}', f'docker://127.0.0.1:{strata.port}/{repository}:{tag}')
    r = strata.api('GET', f'/api/v1/projects/{repository.split("/")[0]}/repositories/{repository.split("/", 1)[1]}/tags')
    return next(t['digest'] for t in r.json()['items'] if t['tag'] == tag)


def skopeo(strata, verb, *args, check=True, creds=None):
    creds = creds or f'admin:{strata.admin_password}'
    flags = ['--src-tls-verify=false', '--dest-tls-verify=false', '--src-creds', creds, '--dest-creds', creds] if verb == 'copy' \
        else ['--tls-verify=false', '--creds', creds]
    return subprocess.run(['skopeo', verb, *flags, *args], capture_output=True, text=True, timeout=120, check=check)
