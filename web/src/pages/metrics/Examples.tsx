// What a new user may ask: a click shows it. Who is no administrator sees no machines, so he is offered what his projects have.
import { Button } from 'antd';
import { useSession } from '../../app/session';
import { useText } from '../../i18n';

const MACHINE = {
  'metrics.machine_cpu': '100 * (1 - avg by (instance) (rate(node_cpu_seconds_total{mode="idle"}[5m])))',
  'metrics.machine_memory': '100 * (1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)',
  'metrics.machine_disk': '100 * (1 - node_filesystem_avail_bytes / node_filesystem_size_bytes)',
  'metrics.machine_network': 'sum by (instance) (rate(node_network_receive_bytes_total{device!="lo"}[5m]))',
  'metrics.machine_gpu': 'DCGM_FI_DEV_GPU_UTIL',
} as const;
const CONTAINERS = {
  'metrics.container_cpu': 'sum by (project, name) (rate(container_cpu_usage_seconds_total{project!=""}[5m]))',
  'metrics.container_memory': 'sum by (project, name) (container_memory_working_set_bytes{project!=""})',
  'metrics.container_gpu': 'DCGM_FI_DEV_GPU_UTIL{project!=""}',
} as const;
const SERVER = {
  'metrics.server_requests': 'sum by (route) (rate(strata_http_requests_total[5m]))',
  'metrics.server_targets': 'up',
} as const;

export function Examples({ onAsk }: { onAsk: (query: string) => void }) {
  const t = useText();
  const { me } = useSession();
  const groups = me.is_admin
    ? ([['metrics.of_machine', MACHINE], ['metrics.of_containers', CONTAINERS], ['metrics.of_server', SERVER]] as const)
    : ([['metrics.of_containers', CONTAINERS]] as const);
  return (
    <section aria-label={t('metrics.examples')}>
      <p>{t('metrics.start')}</p>
      {groups.map(([title, queries]) => (
        <div key={title}>
          <h2 className="examples-title">{t(title)}</h2>
          <div className="examples">
            {(Object.entries(queries) as [Parameters<typeof t>[0], string][]).map(([name, query]) => (
              <Button key={name} className="example" onClick={() => onAsk(query)}>
                <span>{t(name)}</span>
                <span className="mono secondary break">{query}</span>
              </Button>
            ))}
          </div>
        </div>
      ))}
    </section>
  );
}
