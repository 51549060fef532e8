// What a step gave or said, in a drawer with its own address: ?preview=split.train, ?preview=learn.log.
import { DownloadOutlined } from '@ant-design/icons';
import { useQuery } from '@tanstack/react-query';
import { Button, Drawer, Empty, Segmented, Skeleton } from 'antd';
import { get, request, type ApiError } from '../../../api/client';
import { isOver, nodeLogUrl, outputUrl, type Run } from '../../../api/studio';
import { ErrorView } from '../../../components/ErrorView';
import { useServerText, useText } from '../../../i18n';
import { refOf } from '../graph/document';
import { ModelView } from './ModelView';
import { ReportView } from './ReportView';
import { TableView } from './TableView';
import type { AnyPreview, ModelPreview, TablePreview } from './types';

interface Props {
  project: string;
  run: Run | null;
  at: string; // node.port or node.log; '': closed
  go: (at: string) => void;
}

/** What the server says itself, instead of a log, is one sentence. */
const isSentence = (log: string) => log.length < 200 && log.trimEnd().split('\n').length === 1;

function Log({ project, run, node }: { project: string; run: Run; node: string }) {
  const t = useText();
  const say = useServerText();
  const log = useQuery<string, ApiError>({
    queryKey: ['runs', project, 'log', run.id, node, run.nodes?.[node]?.state],
    queryFn: async ({ signal }) => (await request('GET', nodeLogUrl(project, run.id, node), { signal })).text(),
    refetchInterval: isOver(run) ? false : 2000,
  });
  if (log.error) {
    return <ErrorView error={log.error} retry={() => void log.refetch()} />;
  }
  return log.data === undefined ? (
    <Skeleton active />
  ) : log.data === '' ? (
    <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('jobs.log_none')} />
  ) : (
    <pre className="run-log" tabIndex={0} aria-label={t('studio.log')}>
      {isSentence(log.data) ? say(log.data.trimEnd()) : log.data}
    </pre>
  );
}

function Output({ project, run, node, port }: { project: string; run: Run; node: string; port: string }) {
  const t = useText();
  const url = outputUrl(project, run.id, node, port);
  const sha = run.nodes?.[node]?.outputs?.[port]?.sha256 ?? '';
  const preview = useQuery<AnyPreview, ApiError>({
    queryKey: ['runs', project, 'preview', run.id, node, port, sha],
    queryFn: ({ signal }) => get<AnyPreview>(`${url}/preview`, signal),
  });
  if (preview.error) {
    return <ErrorView error={preview.error} retry={() => void preview.refetch()} />;
  }
  if (!preview.data) {
    return <Skeleton active />;
  }
  // A report may be its own preview.
  switch (run.nodes?.[node]?.outputs?.[port]?.type ?? preview.data.type) {
    case 'table':
      return <TableView table={preview.data as TablePreview} />;
    case 'report':
      return <ReportView raw={preview.data} />;
    case 'model':
    case 'transform':
      return <ModelView model={preview.data as ModelPreview} />;
    default:
      return <Empty image={Empty.PRESENTED_IMAGE_SIMPLE} description={t('studio.no_preview')} />;
  }
}

export function PreviewDrawer({ project, run, at, go }: Props) {
  const t = useText();
  const [node, port] = refOf(at);
  const now = run?.nodes?.[node];
  const ports = [...Object.keys(now?.outputs ?? {}), ...(now?.job ? ['log'] : [])];
  const isOpen = at !== '' && run !== null;
  return (
    <Drawer
      open={isOpen}
      onClose={() => go('')}
      size={900}
      title={t('studio.output_of', { node, run: run?.id ?? '' })}
      destroyOnHidden
      className="preview studio-preview"
      closable={{ 'aria-label': t('action.close') }}
      extra={
        isOpen && port !== 'log' && now?.outputs?.[port] ? (
          <Button icon={<DownloadOutlined />} href={outputUrl(project, run.id, node, port)} download>
            {t('action.download')}
          </Button>
        ) : null
      }
    >
      {ports.length > 1 && <Segmented aria-label={t('studio.output')} className="port-choice" value={port} onChange={(p) => go(`${node}.${p}`)} options={ports.map((p) => ({ value: p, label: p === 'log' ? t('studio.log') : p }))} />}
      {isOpen && (port === 'log' ? <Log project={project} run={run} node={node} /> : <Output key={at} project={project} run={run} node={node} port={port} />)}
    </Drawer>
  );
}
