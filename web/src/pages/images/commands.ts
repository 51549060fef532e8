// What one types to bring an image here and to get it from here, for this server and project.
import type { NamedCommand } from '../../components/Commands';
import type { Text } from '../../i18n';

const isPlain = () => location.protocol === 'http:';
const host = () => location.host;
/** docker talks plain HTTP with this computer, and with others only when told so. */
const isHere = () => /^(localhost|127\.|\[::1\])/.test(location.host);

export function pushCommands(t: Text, project: string, user: string): NamedCommand[] {
  const there = `${host()}/${project}`;
  const flag = isPlain() ? '--dest-tls-verify=false ' : '';
  return [
    { name: 'docker', hint: t('images.push_docker'), text: `docker login ${host()} -u ${user}\ndocker tag IMAGE:TAG ${there}/IMAGE:TAG\ndocker push ${there}/IMAGE:TAG` },
    { name: 'skopeo', hint: t('images.push_skopeo'), text: `skopeo copy ${flag}--dest-creds ${user} docker://docker.io/library/IMAGE:TAG docker://${there}/IMAGE:TAG` },
    { name: 'strata', hint: t('images.push_strata'), text: `strata image push ${project}/IMAGE:TAG --program ./PROGRAM` },
  ];
}

export function pullCommands(t: Text, project: string, repository: string, tag: string): NamedCommand[] {
  const name = `${project}/${repository}:${tag}`;
  const there = `${host()}/${name}`;
  return [
    { name: 'docker', text: `docker pull ${there}`, hint: isPlain() && !isHere() ? t('images.docker_plain', { host: host() }) : undefined },
    { name: 'podman', text: `podman pull ${isPlain() ? '--tls-verify=false ' : ''}${there}` },
    { name: 'skopeo', text: `skopeo copy ${isPlain() ? '--src-tls-verify=false ' : ''}docker://${there} oci-archive:${repository.split('/').pop()}.tar:${tag}` },
    { name: 'strata run', hint: t('images.run_hint'), text: `strata run -f - <<'EOF'\nproject: ${project}\nimage: ${name}\nEOF` },
  ];
}
